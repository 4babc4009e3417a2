//! The 1,000 networks that the authors published with their learning curves.

use flate2::read::GzDecoder;
use metaqnn_core::graph::{Graph, NetworkOptions};
use metaqnn_core::space::{Architecture, Convolution, FullyConnected, Layer};

use crate::fixture::{COLOUR_32, broken_rule, paper_space};

struct Published {
    architecture: Architecture,
    num_params: u64,
    depth: usize,
}

fn published() -> Vec<Published> {
    let bytes: &[u8] = include_bytes!("../data/metaqnn_cifar10.csv.gz");
    let mut reader = csv::Reader::from_reader(GzDecoder::new(bytes));
    let headers = reader.headers().expect("a header").clone();
    let column = |name: &str| headers.iter().position(|h| h == name).expect("the column is there");
    let (net, num_params, depth) = (column("net"), column("num_params"), column("depth"));
    reader
        .records()
        .map(|record| {
            let record = record.expect("a row");
            Published {
                architecture: record[net].parse().unwrap_or_else(|error| panic!("{}: {error}", &record[net])),
                num_params: record[num_params].parse().expect("a number"),
                depth: record[depth].parse().expect("a number"),
            }
        })
        .collect()
}

#[test]
fn every_published_network_is_legal() {
    let space = paper_space(18, COLOUR_32);
    let networks = published();
    assert_eq!(networks.len(), 1000);
    for network in networks {
        let architecture = &network.architecture;
        let actions = space.actions(architecture).unwrap_or_else(|error| panic!("{architecture}: {error}"));
        assert_eq!(&space.architecture(&actions).unwrap(), architecture);
        assert_eq!(broken_rule(architecture, COLOUR_32, 18), None);
    }
}

#[test]
fn every_published_number_of_parameters_follows_from_the_graph() {
    let options = NetworkOptions { batch_norm: false, max_dropout: 0.5 };
    for network in published() {
        let architecture = &network.architecture;
        let graph = Graph::new(architecture, COLOUR_32, options).unwrap();
        let softmax: u64 =
            graph.nodes().iter().filter(|node| node.name == "softmax").map(|node| node.costs.weights).sum();
        // The authors counted a terminal layer as a copy of the one before it.
        let copied = match architecture.layers().last() {
            Some(&Layer::Convolution(Convolution { out_channels, kernel_size, .. })) => {
                u64::from(out_channels).pow(2) * u64::from(kernel_size).pow(2)
            }
            Some(&Layer::FullyConnected(FullyConnected { units })) => u64::from(units).pow(2),
            _ => 0,
        };
        assert_eq!(graph.weights() - softmax + copied, network.num_params, "{architecture}");
        // Their depth counts the softmax and leaves out dropout.
        assert_eq!(architecture.layers().len() + 1, network.depth, "{architecture}");
    }
}
