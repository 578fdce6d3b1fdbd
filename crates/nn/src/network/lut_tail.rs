//! Networks that end in LUT layers and a group sum, taken apart and put together again.

use lutweave_backend::Backend;
use lutweave_lut::Window;
use lutweave_tensor::FrameBuffer;
use serde_json::Value;

use super::{Network, pooled};
use crate::layers::LutTables;
use crate::{Error, Layer, Result, Signal, StateTensor, Windows, registry};

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
    /// Where the layer is put, if it slides over an image inside a convolution. It is the only one
    /// then, the group sum counts its ones at all positions, and a class has
    /// `nodes / classes` nodes at each.
    pub windows: Option<Windows>,
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
    /// sum, or in a convolution of one LUT layer without borders and a group sum, and when
    /// parameters are not finite.
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
        let classes = head.output().nodes();
        let mut windows = None;
        if layers.is_empty() {
            let last = children.pop().map_or(head, |(_, layer)| layer);
            let Some((tables, slid)) = sliding(last)? else { return refuse(last) };
            if tables.tables.len() % classes != 0 {
                let what = format!("{} nodes for {classes} classes", tables.tables.len());
                return Err(last.base().state_error(what));
            }
            shapes.push(slid.seen.shape.clone());
            layers.push(tables);
            windows = Some(slid);
        }
        let temperature = setting.map_or(1.0, |(_, temperature)| temperature);
        let first = children.len();
        Ok(LutTail { net: self, first, layers, shapes, windows, classes, temperature })
    }
}

/// The LUT layer of a convolution that consists of nothing else, and where it is put.
fn sliding(layer: &dyn Layer) -> Result<Option<(LutTables, Windows)>> {
    let spec = layer.base().spec();
    let Ok(shape) = <[usize; 3]>::try_from(layer.input().shape.as_slice()) else {
        return Ok(None);
    };
    if spec.kind() != "convolution" {
        return Ok(None);
    }
    let Some((lut, _)) = only(layer) else { return Ok(None) };
    let Some(tables) = lut.lut_tables()? else { return Ok(None) };
    let window: Window = registry::parse("window", &spec.config()["window"])?;
    let windows = Windows::new(&window, layer.input(), shape, 0..shape[0], 0.0)?;
    Ok(Some((tables, windows)))
}

/// The layer at the end of layers that have one inside each, and its path from the first.
fn only(layer: &dyn Layer) -> Option<(&dyn Layer, String)> {
    let (mut at, mut path) = (layer, String::new());
    loop {
        let mut children = at.children();
        match (children.pop(), children.is_empty()) {
            (None, _) => return Some((at, path)),
            (Some((name, child)), true) => {
                path = format!("{path}{name}.");
                at = child;
            }
            _ => return None,
        }
    }
}

/// The settings of that layer within those of the first.
fn settings_of_only(mut settings: &mut Value) -> &mut Value {
    while settings.get("config").is_some() || settings.get("layers").is_some() {
        settings = if settings.get("layers").is_some() {
            &mut settings["layers"][0]["config"]
        } else {
            &mut settings["config"]
        };
    }
    settings
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

    /// What the LUT layers read at all positions where they slide, a position after the other
    /// ([`WindowKernels`](lutweave_backend::WindowKernels)); else the bits as they are.
    ///
    /// # Errors
    ///
    /// When the bits are not those of [`inputs`](Self::inputs), and where there are too many.
    pub fn lowered(&self, bits: FrameBuffer, backend: &dyn Backend) -> Result<FrameBuffer> {
        let Some(windows) = &self.windows else { return Ok(bits) };
        let positions = windows.positions();
        let frames = bits.frames().saturating_mul(positions);
        let mut low = FrameBuffer::zeros(bits.dtype(), &windows.seen.shape, frames)?;
        backend.lower(&bits, &windows.sources, 0..positions, windows.border_value, &mut low)?;
        Ok(low)
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
        let children = net.root().children().into_iter().skip(self.first);
        for (number, (tables, (name, layer))) in self.layers.iter().zip(children).enumerate() {
            if tables.tables.len() != tables.wiring.nodes() {
                let what = format!("{} tables for {}", tables.tables.len(), tables.wiring.nodes());
                return Err(Error::State { layer: name.clone(), what });
            }
            let own = &mut config["layers"][self.first + number]["config"];
            let own = if self.windows.is_some() { settings_of_only(own) } else { own };
            let shape = own.get("shape").cloned();
            *own = crate::LayerSpec::config(&tables.layer());
            if let Some(shape) = shape {
                own["shape"] = shape;
            }
            let path = only(layer).map_or_else(String::new, |(_, path)| path);
            let inside = format!("{name}.{path}");
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
    use crate::{Convolution, Dense, GroupSum, LutLayer, Network, Sequential, Thermometer};

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
    fn a_layer_that_slides_comes_back_too() {
        let lut = LutLayer::new(6).fan_in(4).model(HardTable::default()).batch_norm(None);
        let slide = Convolution::new([3, 3], Sequential::inner().then(lut)).stride([2, 2]);
        let net = Sequential::new(&[2, 7, 5]).reading(DType::Bit).then(slide);
        let net = net.then(GroupSum::new(3).temperature(1.0)).build(5).unwrap();
        let mut tail = net.lut_tail().unwrap();
        assert_eq!((tail.shapes.as_slice(), tail.layers.len()), (&[vec![2, 3, 3]][..], 1));
        assert_eq!(tail.windows.as_ref().unwrap().field, [3, 2]);
        let mut stream = rng::stream(1, &[]);
        let bits: Vec<bool> = (0..70 * 40).map(|_| rng::below(&mut stream, 2) == 1).collect();
        let x = FrameBuffer::from_frame_bits(&[2, 7, 5], &bits).unwrap();
        let scores =
            |net: &Network| net.evaluate(&x, &Cpu::new()).unwrap().to_frames::<f32>().unwrap();
        assert_eq!(scores(&net), scores(&tail.rebuilt().unwrap()));
        // Lowered bits and tables give the scores, too.
        let low = tail.inputs(&x, &Cpu::new()).unwrap();
        let low = tail.lowered(low, &Cpu::new()).unwrap().to_frame_bits().unwrap();
        let mut counts = vec![0.0; 3 * 40];
        for (row, seen) in low.chunks(18).enumerate() {
            for (node, table) in tail.layers[0].tables.iter().enumerate() {
                let sources = tail.layers[0].wiring.node(node).iter().enumerate();
                let k = sources.map(|(at, &source)| usize::from(seen[source as usize]) << at);
                counts[row % 40 * 3 + node / 2] += f32::from(u8::from(table.get(k.sum())));
            }
        }
        assert_eq!(counts, scores(&net));
        tail.layers[0].tables.reverse();
        assert_ne!(scores(&net), scores(&tail.rebuilt().unwrap()));
    }

    #[test]
    fn other_networks_are_refused_by_name() {
        let other =
            Sequential::new(&[6]).reading(DType::F32).then(Dense::new(&[2])).build(1).unwrap();
        let error = other.lut_tail().unwrap_err().to_string();
        assert!(error.contains("dense") && error.contains("group_sum"), "{error}");
    }
}
