use lutweave_backend::{Backend, Cpu, Reference};
use lutweave_tensor::{FrameBuffer, rng};

use super::*;
use crate::models::{HardTable, Smoothed};
use crate::{LutLayer, LutTree, Network, Sequential, WiringRule};

/// Relative tolerance of sums in another order.
const CLOSE: f32 = 1e-3;

/// Layers that do not say that they can read windows in place.
#[derive(Debug, Clone)]
struct Plain(Arc<dyn LayerSpec>);

impl LayerSpec for Plain {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn config(&self) -> serde_json::Value {
        self.0.config()
    }

    fn build(&self, site: &Site<'_>) -> Result<Box<dyn Layer>> {
        self.0.build(site)
    }
}

fn image(shape: &[usize], frames: usize, dtype: DType) -> FrameBuffer {
    let mut stream = rng::stream(7, &[]);
    let count = shape.iter().product::<usize>() * frames;
    let values: Vec<f32> = (0..count).map(|_| rng::uniform(&mut stream)).collect();
    match dtype {
        DType::Bit => {
            let bits: Vec<bool> = values.iter().map(|&v| v > 0.6).collect();
            FrameBuffer::from_frame_bits(shape, &bits).unwrap()
        }
        _ => FrameBuffer::from_frames(shape, &values).unwrap(),
    }
}

fn build(spec: Convolution, shape: &[usize], dtype: DType) -> Network {
    let net = Sequential::new(shape).reading(dtype).then(spec).build(3).unwrap();
    spread(net)
}

/// Spreads the weights, so that tables are not all alike.
fn spread(mut net: Network) -> Network {
    let mut stream = rng::stream(2, &[]);
    for parameter in net.parameters_mut() {
        parameter.values.fill_with(|| rng::uniform(&mut stream));
    }
    net
}

fn close(a: &[f32], b: &[f32], what: &str) {
    assert_eq!(a.len(), b.len());
    let most = a.iter().fold(0f32, |most, a| most.max(a.abs()));
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= CLOSE * (most + 1e-3), "{what}: {a} and {b} of {most}");
    }
}

/// Forward, backward and trained answers of two networks agree.
fn compare(mut a: Network, mut b: Network, x: FrameBuffer, backend: &dyn Backend) {
    let x = Arc::new(x);
    let (y, saved) = a.forward_all(std::slice::from_ref(&x), backend).unwrap();
    let (want, other) = b.forward_all(std::slice::from_ref(&x), backend).unwrap();
    if y[0].dtype() == DType::Bit {
        assert_eq!(y, want);
        let ones = y[0].to_frame_bits().unwrap().iter().filter(|&&bit| bit).count();
        assert!(ones > 0 && ones < y[0].nodes() * y[0].frames(), "{ones}");
    } else {
        close(&y[0].to_frames().unwrap(), &want[0].to_frames().unwrap(), "y");
    }
    let mut stream = rng::stream(9, &[]);
    let dy: Vec<f32> =
        (0..y[0].nodes() * y[0].frames()).map(|_| rng::normal(&mut stream)).collect();
    let dy = [Some(FrameBuffer::from_frames(y[0].shape(), &dy).unwrap())];
    let dx = a.backward_all(saved, &dy, true, backend).unwrap().remove(0).unwrap();
    let want = b.backward_all(other, &dy, true, backend).unwrap().remove(0).unwrap();
    close(&dx.to_frames().unwrap(), &want.to_frames().unwrap(), "dx");
    for (a, b) in a.parameters_mut().into_iter().zip(b.parameters_mut()) {
        close(&a.gradient, &b.gradient, &a.path);
    }
    let (ours, theirs) = (a.state(), b.state());
    for (a, b) in ours.iter().zip(&theirs) {
        assert_eq!(a.name, b.name);
        if let (crate::StateData::F32(x), crate::StateData::F32(y)) = (&a.data, &b.data) {
            close(x, y, &a.name);
        } else {
            assert_eq!(a.data, b.data, "{}", a.name);
        }
    }
    a.restore(&theirs).unwrap();
    assert_eq!(a.evaluate(&x, backend).unwrap(), b.evaluate(&x, backend).unwrap());
}

/// Reading rows in place is the same as copying windows out, for all borders, strides and shapes.
#[test]
fn in_place_is_lowering() {
    let lut = |nodes, fan_in| LutLayer::new(nodes).fan_in(fan_in);
    let real = lut(3, 4).model(Smoothed::stochastic()).batch_norm(None);
    let kernels: [(Arc<dyn LayerSpec>, DType); 5] = [
        (Arc::new(lut(5, 6)), DType::Bit),
        (Arc::new(Sequential::inner().then(lut(8, 3)).then(lut(3, 4))), DType::Bit),
        (Arc::new(LutTree::new(2).depth(2).layer(lut(1, 3))), DType::Bit),
        (Arc::new(lut(3, 2).wiring(WiringRule::Pointwise)), DType::Bit),
        (Arc::new(real.real_inputs(true).real_output(true)), DType::F32),
    ];
    let windows = [
        Window::new([3, 2]),
        Window::new([3, 3]).padding(Padding::Same).stride([2, 1]),
        Window::new([2, 3]).padding(Padding::Same).border(Border::Reflect),
        Window::new([3, 3]).padding(Padding::Same).border(Border::Reflect101),
        Window::new([3, 3]).dilation([2, 1]).padding(Padding::Same).border(Border::Replicate),
        Window::new([3, 3]).padding(Padding::Same).border(Border::Wrap).stride([2, 2]),
    ];
    for (number, (kernel, dtype)) in kernels.into_iter().enumerate() {
        for (at, window) in windows.into_iter().enumerate() {
            if number == 3 && at % 2 == 1 {
                continue; // pointwise wiring wants as many nodes as pixels
            }
            let kernel: Arc<dyn LayerSpec> = match number {
                3 => {
                    let [h, w] = window.filter;
                    let own = LutLayer::shaped(&[2, h, w]).fan_in(2).wiring(WiringRule::Pointwise);
                    Arc::new(own.batch_norm(None))
                }
                _ => Arc::clone(&kernel),
            };
            let base = |inner| Convolution { window, groups: 1, border_value: 1.0, inner };
            let a = build(base(Arc::clone(&kernel)), &[2, 6, 5], dtype);
            let b = build(base(Arc::new(Plain(kernel))), &[2, 6, 5], dtype);
            let backend: &dyn Backend = if at == 1 { &Reference } else { &Cpu::new() };
            compare(a, b, image(&[2, 6, 5], 70, dtype), backend);
        }
    }
}

/// Groups are convolutions of their own channels, side by side.
#[test]
fn groups_have_layers_of_their_own() {
    let kernel = || LutLayer::new(4).fan_in(4);
    let spec = |inner| Convolution { inner, ..Convolution::new([2, 2], kernel()).groups(2) };
    let (a, b) = (spec(Arc::new(kernel())), spec(Arc::new(Plain(Arc::new(kernel())))));
    assert_eq!(registry::spec("convolution", &a.config()).unwrap().config(), a.config());
    let shape = [4, 4, 3];
    let (mut a, b) = (build(a, &shape, DType::Bit), build(b, &shape, DType::Bit));
    assert_eq!((a.output().shape.as_slice(), a.luts()), (&[8, 3, 2][..], 8));
    assert_eq!(a.describe().cost().unrolled, 8 * 6);
    assert_eq!(a.parameters_mut()[1].path, "0.convolution.group1.weights");
    compare(a, b, image(&shape, 40, DType::Bit), &Cpu::new());
}

/// The netlist of a convolution, unrolled over its positions, is the network.
#[test]
fn hardware_is_the_network() {
    use lutweave_lut::Evaluator;

    let lut = LutLayer::new(1).fan_in(2).model(HardTable::default()).batch_norm(None);
    let tree = || LutTree::new(9).depth(2).layer(lut.clone());
    for inner in [Arc::new(tree()) as Arc<dyn LayerSpec>, Arc::new(Plain(Arc::new(tree())))] {
        let spec = Convolution { inner, ..Convolution::new([2, 2], tree()) };
        let spec = spec.padding(Padding::Same).border_value(1.0).stride([2, 1]);
        let net = Sequential::new(&[1, 4, 3]).reading(DType::Bit).then(spec);
        let mut net = spread(net.then(crate::GroupSum::new(3)).build(5).unwrap());
        for parameter in net.parameters_mut() {
            parameter.values.iter_mut().for_each(|value| *value = 2.0 * *value - 1.0);
        }
        let x = Arc::new(image(&[1, 4, 3], 64, DType::Bit));
        let netlist = net.to_netlist("conv").unwrap();
        let words: Vec<u64> =
            (0..12).map(|node| x.rows::<u64>().unwrap()[node * x.stride()]).collect();
        let mut evaluator = Evaluator::new(&netlist).unwrap();
        evaluator.settle(&words).unwrap();
        let classes = crate::arg_max(&net.evaluate(&x, &Cpu::new()).unwrap()).unwrap();
        let bits: Vec<u64> = evaluator.output(0).collect();
        for (frame, &class) in classes.iter().enumerate() {
            let got =
                bits.iter().enumerate().map(|(b, word)| (word >> frame & 1) << b).sum::<u64>();
            assert_eq!(got, u64::from(class), "frame {frame}");
        }
        assert!(classes.iter().any(|&class| class != classes[0]), "{classes:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let conv = |filter| Convolution::new(filter, LutLayer::new(2).fan_in(2));
    let error = |spec: Convolution, shape: &[usize], dtype| {
        let net = Sequential::new(shape).reading(dtype).then(spec).build(1);
        net.map(|_| ()).unwrap_err().to_string()
    };
    let bit = DType::Bit;
    assert!(error(conv([3, 3]), &[9], bit).contains("an image of shape"));
    assert!(error(conv([3, 3]), &[2, 9, 9], DType::U8).contains("bits or f32"));
    assert!(error(conv([4, 3]), &[2, 3, 9], bit).contains("window"));
    assert!(error(conv([3, 3]).stride([0, 1]), &[2, 9, 9], bit).contains("window"));
    assert!(error(conv([3, 3]).groups(2), &[3, 9, 9], bit).contains("a divisor of the 3"));
    assert!(error(conv([3, 3]).groups(0), &[3, 9, 9], bit).contains("a divisor of the 3"));
    assert!(error(conv([3, 3]).border_value(f32::NAN), &[3, 9, 9], bit).contains("finite"));
    let huge =
        conv([1, 1]).padding(Padding::Explicit { top: usize::MAX, left: 1, bottom: 1, right: 1 });
    assert!(error(huge, &[3, 9, 9], bit).contains("window"));
}
