//! Nodes and constants of an ONNX graph.

use super::generated::attribute_proto::AttributeType;
use super::generated::tensor_proto::DataType;
use super::generated::tensor_shape_proto::{Dimension, dimension};
use super::generated::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// The value of an attribute.
pub(super) enum Attribute {
    Whole(i64),
    Wholes(Vec<i64>),
    Real(f32),
}

/// A graph as it grows; each value has one producer, named like the value.
pub(super) struct GraphBuilder {
    graph: GraphProto,
}

impl GraphBuilder {
    pub(super) fn new() -> Self {
        GraphBuilder { graph: GraphProto { name: Some("metaqnn".into()), ..GraphProto::default() } }
    }

    pub(super) fn build(self) -> GraphProto {
        self.graph
    }

    /// An input of shape batch × C × H × W.
    pub(super) fn input(&mut self, name: &str, shape: &[u32]) {
        self.graph.input.push(value(name, shape));
    }

    /// An output of shape batch × classes.
    pub(super) fn output(&mut self, name: &str, classes: u32) {
        self.graph.output.push(value(name, &[classes]));
    }

    /// A tensor of 32-bit floats.
    pub(super) fn constant(&mut self, name: &str, shape: &[usize], bytes: Vec<u8>) {
        self.tensor(name, shape, DataType::Float, bytes);
    }

    /// The same of numbers.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        self.constant(name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect());
    }

    fn tensor(&mut self, name: &str, shape: &[usize], kind: DataType, bytes: Vec<u8>) {
        self.graph.initializer.push(TensorProto {
            name: Some(name.into()),
            dims: shape.iter().map(|&n| n as i64).collect(),
            data_type: Some(kind as i32),
            raw_data: Some(bytes),
            ..TensorProto::default()
        });
    }

    /// An operator with one output.
    pub(super) fn node<S: AsRef<str>>(
        &mut self,
        operator: &str,
        inputs: &[S],
        output: &str,
        attributes: Vec<(&str, Attribute)>,
    ) {
        self.graph.node.push(NodeProto {
            name: Some(output.into()),
            op_type: Some(operator.into()),
            input: inputs.iter().map(|name| name.as_ref().to_owned()).collect(),
            output: vec![output.into()],
            attribute: attributes.into_iter().map(|(name, value)| attribute(name, value)).collect(),
            ..NodeProto::default()
        });
    }
}

fn attribute(name: &str, value: Attribute) -> AttributeProto {
    let mut attribute = AttributeProto { name: Some(name.into()), ..AttributeProto::default() };
    let kind = match value {
        Attribute::Whole(value) => {
            attribute.i = Some(value);
            AttributeType::Int
        }
        Attribute::Wholes(values) => {
            attribute.ints = values;
            AttributeType::Ints
        }
        Attribute::Real(value) => {
            attribute.f = Some(value);
            AttributeType::Float
        }
    };
    attribute.r#type = Some(kind as i32);
    attribute
}

/// A value of 32-bit floats whose first dimension is any batch size.
fn value(name: &str, shape: &[u32]) -> ValueInfoProto {
    let dimension = |value| Dimension { value: Some(value), ..Dimension::default() };
    let batch = dimension(dimension::Value::DimParam("batch".into()));
    let sides = shape.iter().map(|&n| dimension(dimension::Value::DimValue(i64::from(n))));
    let tensor = type_proto::Tensor {
        elem_type: Some(DataType::Float as i32),
        shape: Some(TensorShapeProto { dim: std::iter::once(batch).chain(sides).collect() }),
    };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}
