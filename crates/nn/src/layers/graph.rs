//! Layers as a directed acyclic graph: skips, several inputs and heads, shared weights, graphs in
//! graphs.
//!
//! A node is a layer and the names of what it reads: inputs of the graph or other nodes, in any
//! order of definition. The second output of a node of several is `name:1`. The gradient of what
//! several nodes read is the sum of theirs.

mod built;
mod plan;

use std::ops::RangeInclusive;
use std::sync::Arc;

use lutweave_tensor::DType;
use serde::{Deserialize, Serialize};

use self::built::Built;
use self::plan::Plan;
use crate::layer::Base;
use crate::{Error, Layer, LayerSpec, Network, Result, Signal, Site, registry};

/// Settings of a graph, and the way to begin a network that is no chain.
///
/// ```
/// use lutweave_nn::{Add, Dense, Graph, Relu, Signal};
///
/// let net = Graph::new()
///     .input("x", Signal::reals(&[8]))
///     .node("a", Dense::new(&[8]), &["x"])
///     .node("b", Relu::new(), &["a"])
///     .again("c", "a", &["b"]) // the same weights once more
///     .node("sum", Add::new(), &["x", "c"])
///     .output("sum")
///     .build(1)?;
/// assert_eq!(net.output().shape, [8]);
/// # Ok::<(), lutweave_nn::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Graph {
    inputs: Vec<Input>,
    nodes: Vec<Node>,
    outputs: Vec<String>,
}

/// An input of a graph: its signal is needed where the graph is a whole network.
#[derive(Debug, Clone)]
struct Input {
    name: String,
    signal: Option<Signal>,
}

#[derive(Debug, Clone)]
struct Node {
    name: String,
    layer: Use,
    inputs: Vec<String>,
}

/// What a node runs.
#[derive(Debug, Clone)]
enum Use {
    /// A layer of its own.
    Own(Arc<dyn LayerSpec>),
    /// The layer of another node.
    Same(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    inputs: Vec<InputConfig>,
    nodes: Vec<NodeConfig>,
    outputs: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InputConfig {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dtype: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shape: Option<Vec<usize>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeConfig {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    same: Option<String>,
    inputs: Vec<String>,
}

impl Graph {
    /// A graph without anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an input of this type and shape.
    #[must_use]
    pub fn input(mut self, name: &str, signal: Signal) -> Self {
        self.inputs.push(Input { name: name.to_owned(), signal: Some(signal) });
        self
    }

    /// Adds an input whose type and shape come from where the graph is put in.
    #[must_use]
    pub fn any_input(mut self, name: &str) -> Self {
        self.inputs.push(Input { name: name.to_owned(), signal: None });
        self
    }

    /// Adds a layer that reads these inputs or nodes.
    #[must_use]
    pub fn node(self, name: &str, layer: impl LayerSpec + 'static, inputs: &[&str]) -> Self {
        self.add(name, Use::Own(Arc::new(layer)), inputs)
    }

    /// Uses the layer of node `of` once more, with the same parameters, on other inputs of the same
    /// type and shape.
    #[must_use]
    pub fn again(self, name: &str, of: &str, inputs: &[&str]) -> Self {
        self.add(name, Use::Same(of.to_owned()), inputs)
    }

    fn add(mut self, name: &str, layer: Use, inputs: &[&str]) -> Self {
        let inputs = inputs.iter().map(|&input| input.to_owned()).collect();
        self.nodes.push(Node { name: name.to_owned(), layer, inputs });
        self
    }

    /// Makes a node, or an input, the next output.
    #[must_use]
    pub fn output(mut self, node: &str) -> Self {
        self.outputs.push(node.to_owned());
        self
    }

    /// Builds the network with initial parameters from `seed`.
    ///
    /// # Errors
    ///
    /// The first layer that does not fit, by path; names that are unknown or defined twice, cycles,
    /// nodes that nothing reads, each by name.
    pub fn build(self, seed: u64) -> Result<Network> {
        let mut signals = Vec::with_capacity(self.inputs.len());
        for Input { name, signal } in &self.inputs {
            let Some(signal) = signal else {
                return Err(Error::Option {
                    layer: "graph".to_owned(),
                    option: "inputs",
                    expected: format!("a type and shape for input `{name}`"),
                    got: "none".to_owned(),
                });
            };
            signals.push(signal.clone());
        }
        Network::with_inputs(&self, signals, seed)
    }

    pub(crate) fn from_config(config: &serde_json::Value) -> Result<Self> {
        let config: Config = registry::parse("graph", config)?;
        let refuse = |what: String| Error::State { layer: "graph".to_owned(), what };
        let mut graph = Self { outputs: config.outputs, ..Self::default() };
        for InputConfig { name, dtype, shape } in config.inputs {
            let signal = match (dtype, shape) {
                (None, None) => None,
                (Some(dtype), Some(shape)) => {
                    let dtype = DType::from_name(&dtype)
                        .ok_or_else(|| refuse(format!("input `{name}`: no type `{dtype}`")))?;
                    Some(Signal { dtype, shape })
                }
                _ => return Err(refuse(format!("input `{name}` needs both dtype and shape"))),
            };
            graph.inputs.push(Input { name, signal });
        }
        for NodeConfig { name, kind, config, same, inputs } in config.nodes {
            let layer = match (kind, config, same) {
                (Some(kind), Some(config), None) => Use::Own(registry::spec(&kind, &config)?),
                (None, None, Some(same)) => Use::Same(same),
                _ => {
                    let what = format!("node `{name}` needs either kind and config, or same");
                    return Err(refuse(what));
                }
            };
            graph.nodes.push(Node { name, layer, inputs });
        }
        Ok(graph)
    }
}

impl LayerSpec for Graph {
    fn kind(&self) -> &'static str {
        "graph"
    }

    fn config(&self) -> serde_json::Value {
        let input = |input: &Input| InputConfig {
            name: input.name.clone(),
            dtype: input.signal.as_ref().map(|signal| signal.dtype.to_string()),
            shape: input.signal.as_ref().map(|signal| signal.shape.clone()),
        };
        let node = |node: &Node| {
            let (kind, config, same) = match &node.layer {
                Use::Own(spec) => (Some(spec.kind().to_owned()), Some(spec.config()), None),
                Use::Same(same) => (None, None, Some(same.clone())),
            };
            NodeConfig { name: node.name.clone(), kind, config, same, inputs: node.inputs.clone() }
        };
        serde_json::json!(Config {
            inputs: self.inputs.iter().map(input).collect(),
            nodes: self.nodes.iter().map(node).collect(),
            outputs: self.outputs.clone(),
        })
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        self.inputs.len()..=self.inputs.len()
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        for (Input { name, signal }, got) in self.inputs.iter().zip(&site.inputs) {
            if let Some(signal) = signal.as_ref().filter(|signal| *signal != got) {
                let expected = format!("{} of shape {:?}", signal.dtype, signal.shape);
                return Err(Error::Input {
                    layer: format!("{}: input `{name}`", site.path),
                    expected,
                    got_dtype: got.dtype,
                    got_shape: got.shape.clone(),
                });
            }
        }
        let plan = Plan::new(self, site)?;
        let (built, outputs) = Built::parts(self, &plan, site)?;
        Ok(Box::new(built.with_base(Base::with_outputs(self.clone(), site, outputs))))
    }
}

#[cfg(test)]
mod tests;
