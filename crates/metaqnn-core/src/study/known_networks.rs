//! Networks that are known to be good before a search has tried any.

use crate::space::{Architecture, ArchitectureError};

/// The network that `text` means for so many classes: the notation, with `n` in place of the number of classes.
///
/// # Errors
///
/// [`ArchitectureError`] where that is no architecture.
pub fn known_network(text: &str, classes: u32) -> Result<Architecture, ArchitectureError> {
    text.replace("(n)", &format!("({classes})")).parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_take_the_place_of_n() {
        let network = known_network("[C(16,3,1), GAP(n), SM(n)]", 7).unwrap();
        assert_eq!(network.to_string(), "[C(16,3,1), GAP(7), SM(7)]");
        assert!(known_network("[C(16,3,1), GAP(n), SM(m)]", 7).is_err());
    }
}
