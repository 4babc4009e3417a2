//! A training between two epochs, kept in a file: what it takes to go on as if nothing had been.

use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use metaqnn_core::study::CurvePoint;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::cpu::CpuState;

/// Why a checkpoint could not be stored.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: the state of the training could not be kept ({source}); {}, then run the same command again: no more than an epoch is lost",
    path.display(),
    advice(source)
)]
pub struct CheckpointError {
    /// The file.
    path: PathBuf,
    /// Why.
    source: io::Error,
}

/// What to do about it.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        // A limit on the size of files looks no different to who runs into it.
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => "free some space",
        _ => "see that the study's folder can be written to",
    }
}

/// Where a training stands after an epoch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint {
    /// Hash of all that decides how the training goes; a checkpoint of another training is not used.
    pub(crate) identity: u64,
    /// The try, from 0.
    pub(crate) attempt: u32,
    /// Steps of this try.
    pub(crate) steps: u64,
    /// Epochs of the tries before.
    pub(crate) epochs_before: u32,
    /// Best accuracy of the tries before.
    pub(crate) best_before: f64,
    /// The accuracy that one must be above, for as long as it has not been.
    pub(crate) threshold: Option<f64>,
    /// Best accuracy of this try at the end of an epoch.
    pub(crate) best: f64,
    /// Best accuracy of this try at any look.
    pub(crate) best_seen: f64,
    /// Time trained.
    pub(crate) elapsed: Duration,
    /// Time of the tries before.
    pub(crate) begin: Duration,
    /// One point for each epoch of this try that is over.
    pub(crate) curve: Vec<CurvePoint>,
    /// The generator of the order of the images.
    pub(crate) order: ChaCha8Rng,
    /// The network, its optimizer and its generator of dropout.
    pub(crate) learner: CpuState,
}

/// Hash of what decides how a training goes. The same text gives the same hash from the same program.
pub(crate) fn identity(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Words of a generator: seed, stream, position.
const GENERATOR_WORDS: usize = 7;

/// Words of a checkpoint but for its curve: what is written in [`Checkpoint::store`].
const WORDS: usize = 12 + 2 * GENERATOR_WORDS;

/// Bytes of the SHA-256 that a file ends with: of everything before it.
const HASH_BYTES: usize = 32;

/// Words of a point of the curve.
const POINT_WORDS: usize = 3;

impl Checkpoint {
    /// The checkpoint in the file at `path`; `None` where there is none of the training with that identity, or it is damaged: the training
    /// begins anew then.
    pub(crate) fn load(path: &Path, identity: u64) -> Option<Checkpoint> {
        let bytes = fs::read(path).ok()?;
        let (bytes, hash) = bytes.split_last_chunk::<HASH_BYTES>()?;
        if Sha256::digest(bytes)[..] != hash[..] {
            return None;
        }
        let tensors = SafeTensors::deserialize(bytes).ok()?;
        let numbers = tensors.tensor("numbers").ok()?;
        let (words, _) = numbers.data().as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|&bytes| u64::from_le_bytes(bytes)).collect();
        let (numbers, curve) = words.split_at_checked(WORDS)?;
        if numbers[0] != identity {
            return None;
        }
        let floats = |name| {
            let tensor = tensors.tensor(name).ok()?;
            let (values, _) = tensor.data().as_chunks::<4>();
            Some(values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect::<Vec<f32>>())
        };
        let point = |words: &[u64]| CurvePoint {
            epoch: words[0] as u32,
            train_loss: f64::from_bits(words[1]),
            valid_accuracy: f64::from_bits(words[2]),
        };
        let (order, dropout) = numbers[12..].split_at(GENERATOR_WORDS);
        Some(Checkpoint {
            identity,
            attempt: numbers[1] as u32,
            steps: numbers[2],
            epochs_before: numbers[3] as u32,
            best_before: f64::from_bits(numbers[4]),
            threshold: (numbers[5] == 1).then(|| f64::from_bits(numbers[6])),
            best: f64::from_bits(numbers[7]),
            best_seen: f64::from_bits(numbers[8]),
            elapsed: Duration::from_nanos(numbers[9]),
            begin: Duration::from_nanos(numbers[11]),
            curve: curve.chunks_exact(POINT_WORDS).map(point).collect(),
            order: generator(order),
            learner: CpuState {
                steps: numbers[10] as u32,
                weights: tensors.tensor("weights").ok()?.data().to_vec(),
                means: floats("means")?,
                squares: floats("squares")?,
                dropout: generator(dropout),
            },
        })
    }

    /// Puts the checkpoint in the file at `path`, in place of an earlier one: after a kill or a loss of power the one or the other is
    /// there, whole.
    pub(crate) fn store(&self, path: &Path) -> Result<(), CheckpointError> {
        let failed = |source| CheckpointError { path: path.into(), source };
        let part = part_of(path);
        let stored = self.write(&part).and_then(|()| fs::rename(&part, path)).and_then(|()| sync_folder(path));
        stored.map_err(|error| {
            // A full disk gets back what the part took.
            let _ = fs::remove_file(&part);
            failed(error)
        })
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut words = vec![
            self.identity,
            u64::from(self.attempt),
            self.steps,
            u64::from(self.epochs_before),
            self.best_before.to_bits(),
            u64::from(self.threshold.is_some()),
            self.threshold.unwrap_or_default().to_bits(),
            self.best.to_bits(),
            self.best_seen.to_bits(),
            self.elapsed.as_nanos() as u64,
            u64::from(self.learner.steps),
            self.begin.as_nanos() as u64,
        ];
        words.extend(generator_words(&self.order));
        words.extend(generator_words(&self.learner.dropout));
        for point in &self.curve {
            words.extend([u64::from(point.epoch), point.train_loss.to_bits(), point.valid_accuracy.to_bits()]);
        }
        let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let [means, squares] = [&self.learner.means, &self.learner.squares]
            .map(|vector| -> Vec<u8> { vector.iter().flat_map(|value| value.to_le_bytes()).collect() });
        let view = |dtype, size: usize, bytes| TensorView::new(dtype, vec![Vec::len(bytes) / size], bytes);
        let tensors = [
            ("numbers", view(Dtype::U64, 8, &words)),
            ("weights", view(Dtype::U8, 1, &self.learner.weights)),
            ("means", view(Dtype::F32, 4, &means)),
            ("squares", view(Dtype::F32, 4, &squares)),
        ];
        let tensors: Result<Vec<_>, _> =
            tensors.into_iter().map(|(name, view)| view.map(|view| (name, view))).collect();
        let bytes = tensors.and_then(|tensors| safetensors::serialize(tensors, None)).map_err(io::Error::other)?;
        let mut file = File::create(path)?;
        file.write_all(&bytes)?;
        file.write_all(&Sha256::digest(&bytes))?;
        file.sync_all()
    }
}

/// The file that a checkpoint is written to before it takes its place.
fn part_of(path: &Path) -> PathBuf {
    let mut part = OsString::from(path);
    part.push(".part");
    part.into()
}

/// Removes the checkpoint at `path` and what a kill left of the next one. A file that cannot be removed is of no harm.
pub fn remove_checkpoint(path: &Path) {
    let _ = fs::remove_file(path);
    let _ = fs::remove_file(part_of(path));
}

/// The name of a file, too, must survive the loss of power.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn generator_words(generator: &ChaCha8Rng) -> [u64; GENERATOR_WORDS] {
    let seed = generator.get_seed();
    let (words, _) = seed.as_chunks::<8>();
    let position = generator.get_word_pos();
    let word = |index: usize| u64::from_le_bytes(words[index]);
    [word(0), word(1), word(2), word(3), generator.get_stream(), position as u64, (position >> 64) as u64]
}

fn generator(words: &[u64]) -> ChaCha8Rng {
    let mut seed = [0; 32];
    for (bytes, word) in seed.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let mut generator = ChaCha8Rng::from_seed(seed);
    generator.set_stream(words[4]);
    generator.set_word_pos(u128::from(words[5]) | u128::from(words[6]) << 64);
    generator
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    fn checkpoint() -> Checkpoint {
        let mut order = ChaCha8Rng::seed_from_u64(7);
        order.set_stream(3);
        order.next_u32();
        Checkpoint {
            identity: 5,
            attempt: 1,
            steps: 12,
            epochs_before: 2,
            best_before: 0.1 + 0.2,
            threshold: Some(0.15),
            best: 0.7,
            best_seen: 0.8,
            elapsed: Duration::from_millis(1234),
            begin: Duration::from_millis(234),
            curve: vec![CurvePoint { epoch: 1, train_loss: 2.0 / 3.0, valid_accuracy: 0.7 }],
            order,
            learner: CpuState {
                steps: 12,
                weights: vec![1, 2, 3],
                means: vec![-0.0, 1e-40],
                squares: Vec::new(),
                dropout: ChaCha8Rng::seed_from_u64(9),
            },
        }
    }

    #[test]
    fn what_was_stored_comes_back_and_its_generators_go_on() {
        let folder = std::env::temp_dir().join(format!("metaqnn-checkpoint-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.checkpoint");
        let mut stored = checkpoint();
        stored.store(&path).unwrap();
        let mut loaded = Checkpoint::load(&path, 5).unwrap();
        assert_eq!(loaded, stored);
        assert_eq!(loaded.order.next_u64(), stored.order.next_u64());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert!(Checkpoint::load(&path, 6).is_none(), "of another training");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(Checkpoint::load(&path, 5).is_none(), "cut off");
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x40;
            fs::write(&path, &damaged).unwrap();
            assert!(Checkpoint::load(&path, 5).is_none(), "a bit of byte {place} changed");
        }
        fs::remove_dir_all(&folder).unwrap();
        let error = stored.store(&path).unwrap_err().to_string();
        assert!(error.contains("a.checkpoint: the state of the training could not be kept ("), "{error}");
        assert!(error.contains("see that the study's folder can be written to"), "{error}");
    }
}
