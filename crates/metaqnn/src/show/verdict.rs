//! What the accuracy of the chosen network is worth, in words.

use metaqnn_core::study::wilson_interval;

/// With fewer networks a search has hardly begun.
const FEW_NETWORKS: u64 = 10;

/// What is known of a network that was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Share of the test images that it has right.
    pub(crate) accuracy: f64,
    /// Test images.
    pub(crate) images: u64,
    /// The share that one has right who always answers the most frequent class.
    pub(crate) guessing: f64,
    /// Networks that the search tried.
    pub(crate) networks: u64,
}

/// How far from guessing it is, how many networks there was time for, and what would help.
pub(crate) fn verdict(measured: Measured) -> String {
    let Measured { accuracy, images, guessing, networks } = measured;
    let (low, high) = wilson_interval(accuracy, images);
    let guessed = 100.0 * guessing;
    // Of the way from guessing to all right.
    let way = if guessing < 1.0 { (accuracy - guessing) / (1.0 - guessing) } else { 0.0 };
    let worth = if low <= guessing {
        format!("no better than guessing ({guessed:.1} %) as far as {images} test images tell: do not rely on it")
    } else if way < 0.3 {
        format!("better than guessing ({guessed:.1} %), but not by much")
    } else if low >= 0.99 {
        format!("nearly all right, where guessing has {guessed:.1} %")
    } else {
        format!("well above guessing ({guessed:.1} %)")
    };
    let mut helps = Vec::new();
    if low < 0.97 {
        if networks < FEW_NETWORKS {
            helps.push("more time (--budget): there was time for few networks");
        }
        if way < 0.6 {
            helps.push("more images, and a look at whether labels and images belong together");
        }
        if high - low > 0.1 {
            helps.push("more test images, to know the accuracy better");
        }
    }
    let helps = if helps.is_empty() { String::new() } else { format!(" What would help: {}.", helps.join("; ")) };
    format!("Verdict: {worth}.{helps}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accuracy: f64, images: u64, networks: u64) -> String {
        verdict(Measured { accuracy, images, guessing: 1.0 / 3.0, networks })
    }

    #[test]
    fn it_says_how_far_from_guessing_and_what_helps() {
        assert!(of(0.38, 90, 3).starts_with("Verdict: no better than guessing (33.3 %)"), "{}", of(0.38, 90, 3));
        assert!(of(0.38, 90, 3).contains("more time (--budget)") && of(0.38, 90, 3).contains("more images"));
        assert!(of(0.45, 900, 30).starts_with("Verdict: better than guessing (33.3 %), but not by much"));
        assert!(!of(0.45, 900, 30).contains("--budget"));
        assert!(of(0.9, 900, 30).starts_with("Verdict: well above guessing"));
        assert_eq!(of(1.0, 900, 2), "Verdict: nearly all right, where guessing has 33.3 %.");
    }
}
