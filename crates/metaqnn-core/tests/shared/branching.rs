//! Graphs that branch, made by hand, for the tests of everything that runs or writes graphs.

use metaqnn_core::graph::{Graph, GraphBuilder, MapShape, Source};
use metaqnn_core::operation::{Add, BatchNorm, Convolution, Flatten, GlobalAverage, Linear, MaxPool, Operation, Relu};

/// Images of these graphs.
pub(crate) const INPUT: MapShape = MapShape::new(3, 7, 6);

/// Classes of these graphs.
pub(crate) const CLASSES: u32 = 4;

/// What writes a draft down.
type Write = fn(&mut Draft);

/// A graph as it is written down: each operation is named after what it is and its place.
struct Draft(GraphBuilder, u32);

impl Draft {
    fn new() -> Self {
        Draft(GraphBuilder::new(INPUT), 0)
    }

    fn add(&mut self, operation: impl Into<Operation>, inputs: &[Source]) -> Source {
        let operation = operation.into();
        self.1 += 1;
        let name = match operation {
            Operation::Convolution(_) => "conv",
            Operation::BatchNorm(_) => "norm",
            Operation::Add(_) => "add",
            Operation::Linear(_) => "fc",
            _ => "other",
        };
        self.0.add(format!("{name}{}", self.1), 0, operation, inputs).unwrap()
    }

    fn convolution(&mut self, out_channels: u32, kernel_size: u32, stride: u32, from: Source) -> Source {
        let in_channels = self.0.shape(from).channels();
        self.add(Convolution { in_channels, out_channels, kernel_size, stride, bias: true }, &[from])
    }

    fn norm(&mut self, from: Source) -> Source {
        let channels = self.0.shape(from).channels();
        self.add(BatchNorm { channels }, &[from])
    }

    fn relu(&mut self, from: Source) -> Source {
        self.add(Relu, &[from])
    }

    fn linear(&mut self, outputs: u32, from: Source) -> Source {
        let inputs = self.0.shape(from).channels();
        self.add(Linear { inputs, outputs, bias: true }, &[from])
    }

    /// Global average pooling of as many maps as there are classes.
    fn average(&mut self, from: Source) -> Source {
        let maps = self.convolution(CLASSES, 1, 1, from);
        self.add(GlobalAverage, &[maps])
    }

    fn end(&mut self, from: Source) -> Source {
        let flat = self.add(Flatten, &[from]);
        self.linear(CLASSES, flat)
    }
}

/// Every way in which a value can be read more than once, normalized or not, and operations where no architecture has them.
pub(crate) fn graphs() -> Vec<(&'static str, Graph)> {
    let drafts: [(&'static str, Write); 13] = [
        ("a residual block", |draft| {
            let first = draft.convolution(9, 3, 1, Source::Images);
            let first = draft.relu(first);
            let second = draft.convolution(9, 3, 1, first);
            let sum = draft.add(Add, &[second, first]);
            let sum = draft.relu(sum);
            draft.average(sum);
        }),
        ("a normalized residual block", |draft| {
            let first = draft.convolution(5, 3, 1, Source::Images);
            let first = draft.norm(first);
            let first = draft.relu(first);
            let second = draft.convolution(5, 3, 1, first);
            let second = draft.norm(second);
            let sum = draft.add(Add, &[first, second]);
            let sum = draft.relu(sum);
            draft.end(sum);
        }),
        ("a block that is normalized before its convolution", |draft| {
            let first = draft.convolution(6, 3, 1, Source::Images);
            let normalized = draft.norm(first);
            let active = draft.relu(normalized);
            let second = draft.convolution(6, 3, 1, active);
            let sum = draft.add(Add, &[first, second]);
            let sum = draft.norm(sum);
            let sum = draft.relu(sum);
            let pooled = draft.add(MaxPool { kernel_size: 3, stride: 2 }, &[sum]);
            draft.end(pooled);
        }),
        ("a projection with a stride", |draft| {
            let first = draft.convolution(4, 5, 1, Source::Images);
            let first = draft.relu(first);
            let second = draft.convolution(10, 3, 2, first);
            let projected = draft.convolution(10, 1, 2, first);
            let sum = draft.add(Add, &[second, projected]);
            draft.average(sum);
        }),
        ("images that two convolutions and a sum read", |draft| {
            let one = draft.convolution(3, 3, 1, Source::Images);
            let other = draft.convolution(3, 1, 1, Source::Images);
            let sum = draft.add(Add, &[one, other]);
            let sum = draft.add(Add, &[sum, Source::Images]);
            draft.end(sum);
        }),
        ("normalized images", |draft| {
            let normalized = draft.norm(Source::Images);
            let convolved = draft.convolution(8, 3, 1, normalized);
            draft.end(convolved);
        }),
        ("a value that is added to itself", |draft| {
            let first = draft.convolution(8, 3, 1, Source::Images);
            let first = draft.norm(first);
            let twice = draft.add(Add, &[first, first]);
            let thrice = draft.add(Add, &[twice, first]);
            draft.average(thrice);
        }),
        ("blocks in a row", |draft| {
            let mut last = draft.convolution(8, 3, 1, Source::Images);
            for _ in 0..3 {
                let branch = draft.norm(last);
                let branch = draft.relu(branch);
                let branch = draft.convolution(8, 3, 1, branch);
                let branch = draft.norm(branch);
                let branch = draft.relu(branch);
                let branch = draft.convolution(8, 3, 1, branch);
                last = draft.add(Add, &[last, branch]);
            }
            draft.end(last);
        }),
        ("vectors that are added", |draft| {
            let flat = draft.add(Flatten, &[Source::Images]);
            let first = draft.linear(7, flat);
            let first = draft.relu(first);
            let second = draft.linear(7, first);
            let second = draft.norm(second);
            let sum = draft.add(Add, &[first, second]);
            draft.linear(CLASSES, sum);
        }),
        ("a vector of maps that is normalized", |draft| {
            let maps = draft.convolution(3, 3, 2, Source::Images);
            let flat = draft.add(Flatten, &[maps]);
            let normalized = draft.norm(flat);
            let active = draft.relu(normalized);
            draft.linear(CLASSES, active);
        }),
        ("maps and their vector, both read", |draft| {
            let maps = draft.convolution(4, 3, 1, Source::Images);
            let average = draft.add(GlobalAverage, &[maps]);
            let flat = draft.add(Flatten, &[maps]);
            let active = draft.relu(flat);
            let one = draft.linear(CLASSES, active);
            let other = draft.linear(CLASSES, flat);
            let sum = draft.add(Add, &[one, other]);
            draft.add(Add, &[sum, average]);
        }),
        ("ReLU of maxima, twice", |draft| {
            let maps = draft.convolution(5, 3, 1, Source::Images);
            let pooled = draft.add(MaxPool { kernel_size: 2, stride: 2 }, &[maps]);
            let active = draft.relu(pooled);
            let active = draft.relu(active);
            let more = draft.norm(active);
            draft.average(more);
        }),
        ("logits that are normalized", |draft| {
            let flat = draft.add(Flatten, &[Source::Images]);
            let first = draft.linear(CLASSES, flat);
            let again = draft.add(Flatten, &[first]);
            let active = draft.relu(again);
            let sum = draft.add(Add, &[active, first]);
            draft.norm(sum);
        }),
    ];
    let graph = |(name, write): (&'static str, Write)| {
        let mut draft = Draft::new();
        write(&mut draft);
        (name, draft.0.finish().unwrap())
    };
    drafts.into_iter().map(graph).collect()
}
