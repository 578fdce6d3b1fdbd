//! Networks that end in LUT layers and a group sum, taken apart and put together again.

use lutweave_backend::Backend;
use lutweave_tensor::FrameBuffer;

use super::{Network, pooled};
use crate::layers::LutTables;
use crate::{Error, Layer, Result, Signal, StateTensor, registry};

/// The LUT layers before the group sum that ends a chain, as plain tables.
///
/// What is before them, an encoder usually, stays a network.
#[derive(Debug)]
pub struct LutTail<'n> {
    net: &'n Network,
    /// Layers of the chain before them.
    first: usize,
    /// The LUT layers, the first first; at least one.
    pub layers: Vec<LutTables>,
    /// The shape of what each of them reads.
    pub shapes: Vec<Vec<usize>>,
    /// Classes of the group sum.
    pub classes: usize,
    /// Temperature of the group sum.
    pub temperature: f32,
}

impl Network {
    /// The LUT layers at the end of the network.
    ///
    /// # Errors
    ///
    /// [`Error::State`] unless the network is a chain that ends in LUT layers on bits and a group
    /// sum, and when parameters are not finite.
    pub fn lut_tail(&self) -> Result<LutTail<'_>> {
        let refuse = |layer: &dyn Layer| {
            let kind = layer.base().spec().kind();
            let what =
                format!("expected a chain that ends in lut layers and group_sum, got {kind}");
            Err(layer.base().state_error(what))
        };
        if self.spec().kind() != "sequential" {
            return refuse(self.root());
        }
        let mut children = self.root().children();
        let Some((_, head)) = children.pop() else { return refuse(self.root()) };
        if head.base().spec().kind() != "group_sum" {
            return refuse(head);
        }
        let setting = head.settings().into_iter().find(|(name, _)| name == "temperature");
        let (mut layers, mut shapes) = (Vec::new(), Vec::new());
        while let Some((_, layer)) = children.last() {
            let Some(tables) = layer.lut_tables()? else { break };
            layers.insert(0, tables);
            shapes.insert(0, layer.input().shape.clone());
            children.pop();
        }
        if layers.is_empty() {
            return refuse(children.last().map_or(head, |&(_, layer)| layer));
        }
        let classes = head.output().nodes();
        let temperature = setting.map_or(1.0, |(_, temperature)| temperature);
        Ok(LutTail { net: self, first: children.len(), layers, shapes, classes, temperature })
    }
}

impl LutTail<'_> {
    /// What the network reads.
    pub fn input(&self) -> &Signal {
        self.net.input()
    }

    /// The bits that the first of the LUT layers reads.
    ///
    /// # Errors
    ///
    /// When the batch is not what the network reads.
    pub fn inputs(&self, x: &FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        let mut children = self.net.root().children().into_iter().take(self.first);
        let Some((_, first)) = children.next() else {
            self.net.root().base().check(x)?;
            return Ok(x.clone());
        };
        pooled(|| {
            let y = first.evaluate(x, backend)?;
            children.try_fold(y, |y, (_, layer)| layer.evaluate(&y, backend))
        })
    }

    /// The network with [`layers`](Self::layers) as they are now. Their nodes are fixed tables;
    /// all else is as it was.
    ///
    /// # Errors
    ///
    /// When the layers do not fit together.
    pub fn rebuilt(&self) -> Result<Network> {
        let net = self.net;
        let (mut config, mut state) = (net.spec().config(), net.state());
        let names: Vec<String> =
            net.root().children().into_iter().map(|(name, _)| name).skip(self.first).collect();
        for (number, (tables, name)) in self.layers.iter().zip(&names).enumerate() {
            if tables.tables.len() != tables.wiring.nodes() {
                let what = format!("{} tables for {}", tables.tables.len(), tables.wiring.nodes());
                return Err(Error::State { layer: name.clone(), what });
            }
            let own = &mut config["layers"][self.first + number]["config"];
            let shape = own.get("shape").cloned();
            *own = crate::LayerSpec::config(&tables.layer());
            if let Some(shape) = shape {
                own["shape"] = shape;
            }
            let inside = format!("{name}.");
            state.retain(|tensor| !tensor.name.starts_with(&inside));
            state.extend(tables.state().into_iter().map(|StateTensor { name, data }| {
                StateTensor { name: format!("{inside}{name}"), data }
            }));
        }
        let spec = registry::spec(net.spec().kind(), &config)?;
        let mut rebuilt = Network::with_inputs(&*spec, net.inputs().to_vec(), net.seed())?;
        rebuilt.restore(&state)?;
        Ok(rebuilt)
    }
}

#[cfg(test)]
mod tests {
    use lutweave_backend::Cpu;
    use lutweave_lut::TruthTable;
    use lutweave_tensor::{DType, Dataset, FrameBuffer, Targets, Values, rng};

    use crate::models::HardTable;
    use crate::{Dense, GroupSum, LutLayer, Network, Sequential, Thermometer};

    fn net() -> Network {
        let values = Values::U8((0..=255).flat_map(|value| [value; 6]).collect());
        let targets = Targets::Classes { labels: vec![0; 256], count: 2 };
        let data = Dataset::new("made", &[6], values, targets).unwrap();
        let encoder = Thermometer::uniform(&data, 3).unwrap();
        let net = Sequential::new(&[6]).named("encoder", encoder);
        let layer = |layer: LutLayer| layer.model(HardTable::default()).batch_norm(None);
        let net = net.then(layer(LutLayer::shaped(&[3, 4]).fan_in(4)));
        let net = net.then(layer(LutLayer::new(8).fan_in(3)));
        net.then(GroupSum::new(2).temperature(2.5)).build(5).unwrap()
    }

    #[test]
    fn a_network_comes_back_and_answers_the_same() {
        let net = net();
        let mut tail = net.lut_tail().unwrap();
        assert_eq!((tail.layers.len(), tail.classes, tail.temperature), (2, 2, 2.5));
        assert_eq!(tail.shapes, [vec![18], vec![3, 4]]);
        let again = tail.rebuilt().unwrap();
        let mut stream = rng::stream(1, &[]);
        let values: Vec<u8> = (0..6 * 100).map(|_| rng::below(&mut stream, 256) as u8).collect();
        let x = FrameBuffer::from_frames(&[6], &values).unwrap();
        let (a, b) = (net.evaluate(&x, &Cpu::new()), again.evaluate(&x, &Cpu::new()));
        assert_eq!(a.unwrap().to_frames::<f32>().unwrap(), b.unwrap().to_frames::<f32>().unwrap());
        assert_eq!(tail.inputs(&x, &Cpu::new()).unwrap().nodes(), 18);
        assert_eq!(again.lut_tail().unwrap().layers, tail.layers);
        let other = TruthTable::from_fn(3, |k| !tail.layers[1].tables[0].get(k)).unwrap();
        tail.layers[1].tables[0] = other;
        let changed = tail.rebuilt().unwrap();
        assert_ne!(changed.lut_tail().unwrap().layers[1], again.lut_tail().unwrap().layers[1]);
        tail.layers[1].tables.pop();
        assert!(tail.rebuilt().is_err());
    }

    #[test]
    fn other_networks_are_refused_by_name() {
        let other =
            Sequential::new(&[6]).reading(DType::F32).then(Dense::new(&[2])).build(1).unwrap();
        let error = other.lut_tail().unwrap_err().to_string();
        assert!(error.contains("dense") && error.contains("group_sum"), "{error}");
    }
}
