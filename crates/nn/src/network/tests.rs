use lutweave_lut::{Evaluator, Role};
use lutweave_tensor::{Targets, rng};
use proptest::prelude::*;

use super::*;
use crate::{GroupSum, LutLayer, Sequential, Thermometer, WiringRule};

fn noise(samples: usize, size: usize, seed: u64) -> Dataset {
    let mut stream = rng::stream(seed, &[]);
    let values = (0..samples * size).map(|_| rng::below(&mut stream, 17) as u8).collect();
    let labels = (0..samples).map(|_| rng::below(&mut stream, 3) as u32).collect();
    let targets = Targets::Classes { count: 3, labels };
    Dataset::new("noise", &[1, size], Values::U8(values), targets).unwrap()
}

/// A network whose weights are spread, so that its tables are not all alike.
fn net(data: &Dataset, fan_in: usize, seed: u64) -> Network {
    let mut net = Sequential::new(data.shape())
        .then(Thermometer::fit(data, 2).unwrap())
        .then(LutLayer::new(30).fan_in(fan_in).wiring(WiringRule::Random))
        .then(LutLayer::new(12).fan_in(fan_in.min(4)))
        .then(GroupSum::new(3))
        .build(seed)
        .unwrap();
    let mut stream = rng::stream(seed, &[99]);
    for parameter in net.parameters_mut() {
        for value in &mut parameter.values {
            *value = rng::uniform(&mut stream);
        }
    }
    // One step of training sets the running statistics.
    let x = Arc::new(net.batch(data, &(0..data.len()).collect::<Vec<_>>()).unwrap());
    for _ in 0..60 {
        let (y, saved) = net.forward(x.clone(), &Cpu::new()).unwrap();
        let dy = FrameBuffer::zeros(DType::F32, y.shape(), y.frames()).unwrap();
        net.backward(saved, &dy, &Cpu::new()).unwrap();
    }
    net
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_netlist_is_the_network(fan_in in 1usize..=8, seed in 0u64..1000) {
        let data = noise(130, 10, seed);
        let net = net(&data, fan_in, seed);
        let netlist = net.to_netlist("noise").unwrap();
        let mut evaluator = Evaluator::new(&netlist).unwrap();
        let classes = evaluator.frames(&net.port_words(&data).unwrap()).unwrap();
        let want: Vec<u64> = net.predict(&data).unwrap().into_iter().map(u64::from).collect();
        prop_assert_eq!(classes, want);
    }
}

#[test]
fn groups_are_the_layers() {
    let data = noise(20, 10, 1);
    let netlist = net(&data, 6, 1).to_netlist("noise").unwrap();
    let groups: Vec<(&str, Role)> =
        netlist.groups().iter().map(|group| (group.name.as_str(), group.role)).collect();
    let want = [
        ("thermometer0", Role::Encoder),
        ("lut0", Role::Core),
        ("lut1", Role::Core),
        ("group_sum0", Role::Head),
        ("argmax", Role::Head),
    ];
    assert_eq!(groups, want);
    assert_eq!(netlist.lut_count(Role::Core), 42);
}

#[test]
fn state_comes_back() {
    let data = noise(40, 10, 4);
    let trained = net(&data, 4, 4);
    let spec = crate::registry::spec(trained.spec().kind(), &trained.spec().config()).unwrap();
    let mut again = Network::build(spec.as_ref(), trained.input().clone(), 77).unwrap();
    assert_ne!(again.state(), trained.state());
    again.restore(&trained.state()).unwrap();
    assert_eq!(again.state(), trained.state());
    assert_eq!(again.predict(&data).unwrap(), trained.predict(&data).unwrap());
    assert!(again.restore(&trained.state()[1..]).is_err());
    let mut extra = trained.state();
    extra.push(StateTensor::f32("9.weights", &[1.0]));
    assert!(again.restore(&extra).is_err());
}

#[test]
fn other_data_is_refused() {
    let net = net(&noise(20, 10, 1), 2, 1);
    let error = net.predict(&noise(20, 11, 1)).unwrap_err().to_string();
    assert_eq!(error, "network: expected samples of u8 of shape [1, 10], got u8 of shape [1, 11]");
}
