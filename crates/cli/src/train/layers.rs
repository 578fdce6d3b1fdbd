//! From the tables of the settings to layers.
//!
//! A table has a `kind` and the layer's settings as in model files; those that are left out have
//! the values that the layer's constructor gives them.

use std::error::Error as _;
use std::sync::Arc;

use lutweave::lut::Padding;
use lutweave::nn::models::{GateMixture, HardTable, Light, MicroMlp, Smoothed, Walsh};
use lutweave::nn::{
    self, AveragePool, BatchNormalization, Binarize, BitEncode, Concatenate, Convolution, Dense,
    Dropout, Graph, HardTanh, InsertBitError, LayerSpec, MaxPool, RealToBinary, Relu, Sigmoid,
    Slice, Softmax, StochasticBatchNormalization, StochasticMaxPool, Tie, UpSample, registry,
};
use lutweave::prelude::*;
use lutweave::tensor::Values;
use serde_json::{Value, json};
use toml::Spanned;

use super::config::Config;
use super::source::Source;
use crate::error::{Error, Result};

/// Builds the network that the settings describe, for samples like these.
pub(super) fn network(config: &Config, source: &Source, train: &Dataset) -> Result<Network> {
    let mut chain = Sequential::new(train.shape());
    if let Values::F32(_) = train.values() {
        chain = chain.reading(DType::F32);
    }
    if let Some(table) = &config.encoder {
        let spec = encoder(table.get_ref(), train);
        chain = chain.named("encoder", spec.map_err(|what| at(source, table, &what))?);
    }
    let layers = &config.network.layers;
    match (layers.is_empty(), config.network.nodes.is_empty()) {
        (false, true) => {
            for table in layers {
                let live = || live(&chain, train, config.seed);
                let spec = layer(&to_json(table.get_ref()), Some(&live));
                let spec = spec.map_err(|what| at(source, table, &what))?;
                let bits = spec.config().get("real_output") == Some(&json!(false));
                let ties = config.budget.is_some() && spec.kind() == "lut" && bits;
                chain = if ties { chain.then(Tie::of(spec)) } else { chain.then(spec) };
            }
        }
        (true, false) => chain = chain.then(graph(config, source)?),
        _ => {
            let what = "the network needs `layers` or `nodes`, one of them".to_owned();
            let at = source.text.find("[network").unwrap_or(0);
            return Err(source.error_at(at, &what));
        }
    }
    chain.build(config.seed).map_err(|error| refused(config, source, error))
}

/// The error of a network that cannot be built, at the layer that it names.
fn refused(config: &Config, source: &Source, error: nn::Error) -> Error {
    let (nn::Error::Option { layer, .. }
    | nn::Error::Input { layer, .. }
    | nn::Error::State { layer, .. }
    | nn::Error::Layer { layer, .. }) = &error
    else {
        return error.into();
    };
    // A path such as `encoder`, `2.lut`, or `1.graph.head.dense`.
    let mut parts = layer.split('.');
    let first = parts.next().unwrap_or_default();
    let mut named = config.network.nodes.iter().filter(|node| {
        let name = node.get_ref().get("name").and_then(toml::Value::as_str);
        name.is_some_and(|name| parts.clone().any(|part| part == name))
    });
    let before = usize::from(config.encoder.is_some());
    let numbered = || config.network.layers.get(first.parse::<usize>().ok()?.checked_sub(before)?);
    let table = match (&config.encoder, first) {
        (Some(encoder), "encoder") => Some(encoder),
        _ => named.next().or_else(numbered),
    };
    let Some(table) = table else { return error.into() };
    at(source, table, &with_causes(&error))
}

/// An error and what caused it.
fn with_causes(error: &nn::Error) -> String {
    let mut what = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        what = format!("{what}: {error}");
        cause = error.source();
    }
    what
}

fn at(source: &Source, table: &Spanned<toml::Table>, what: &str) -> Error {
    source.error_at(table.span().start, what)
}

fn to_json(table: &toml::Table) -> Value {
    json!(table)
}

/// What is wrong with a layer.
type Checked<T> = std::result::Result<T, String>;
/// Which inputs of the next layer vary over the training set.
type Live<'l> = &'l dyn Fn() -> lutweave::nn::Result<Vec<bool>>;

/// The encoder: a thermometer for these samples, or any layer; with the layers `before` it, which it
/// reads, where there are some.
fn encoder(table: &toml::Table, train: &Dataset) -> Checked<Arc<dyn LayerSpec>> {
    let mut own = table.clone();
    let Some(before) = own.remove("before") else { return thermometer(table, train) };
    let toml::Value::Array(before) = before else {
        return Err("`before` is a list of layers".to_owned());
    };
    let mut chain = Sequential::new(train.shape());
    if let Values::F32(_) = train.values() {
        chain = chain.reading(DType::F32);
    }
    for table in before {
        chain = chain.then(layer(&json!(table), None)?);
    }
    let seen = chain.clone().build(0).and_then(|net| net.outputs_over(train));
    let seen = seen.map_err(|error| format!("before: {}", with_causes(&error)))?;
    Ok(Arc::new(chain.then(thermometer(&own, &seen)?)))
}

/// A thermometer for these samples, or any layer.
fn thermometer(table: &toml::Table, train: &Dataset) -> Checked<Arc<dyn LayerSpec>> {
    if table.get("kind").and_then(toml::Value::as_str) != Some("thermometer")
        || table.contains_key("thresholds")
    {
        return layer(&to_json(table), None);
    }
    for key in table.keys() {
        if !["kind", "levels", "placement", "learn"].contains(&key.as_str()) {
            return Err(format!(
                "unknown field `{key}`, expected `levels`, `placement`, `learn` or `before`"
            ));
        }
    }
    let whole = |value: &toml::Value| match value.as_integer() {
        Some(levels) => Ok(usize::try_from(levels).unwrap_or(usize::MAX)),
        None => Err("`levels` is a whole number, or one for each channel".to_owned()),
    };
    let place = match table.get("placement").map(toml::Value::as_str) {
        None | Some(Some("uniform")) => Thermometer::uniform,
        Some(Some("quantile")) => Thermometer::fit,
        Some(Some("channel_quantile")) => Thermometer::fit_channels,
        _ => {
            let what = "`placement` is \"uniform\", \"quantile\" or \"channel_quantile\"";
            return Err(what.to_owned());
        }
    };
    let learn = learn(table)?;
    let place = |data: &Dataset, levels| {
        let placed = place(data, levels)?;
        match learn {
            Learn::No => Ok(placed),
            Learn::Quarter => placed.learn_over(data),
            Learn::Width(width) => Ok(placed.learn(width)),
        }
    };
    let made = match table.get("levels") {
        None => place(train, 1).map(|made| Arc::new(made) as _),
        Some(toml::Value::Array(each)) => {
            let each: Checked<Vec<usize>> = each.iter().map(whole).collect();
            thermometers(&each?, train, place)?
        }
        Some(levels) => place(train, whole(levels)?).map(|made| Arc::new(made) as _),
    };
    made.map_err(|error| with_causes(&error))
}

/// Whether training moves thresholds, and which samples have a say in it.
#[derive(Debug, Clone, Copy)]
enum Learn {
    No,
    /// Those within a quarter of the range.
    Quarter,
    /// Those within so much.
    Width(f32),
}

fn learn(table: &toml::Table) -> Checked<Learn> {
    match table.get("learn") {
        None | Some(toml::Value::Boolean(false)) => Ok(Learn::No),
        Some(toml::Value::Boolean(true)) => Ok(Learn::Quarter),
        Some(toml::Value::Integer(width)) => Ok(Learn::Width(*width as f32)),
        Some(toml::Value::Float(width)) => Ok(Learn::Width(*width as f32)),
        Some(_) => {
            Err("`learn` is true, false, or the width of the step that gradients are of, in \
                        units of the input"
                .to_owned())
        }
    }
}

/// Thermometers of so many levels for each channel, one for channels that follow one another and
/// have as many.
fn thermometers(
    levels: &[usize],
    train: &Dataset,
    place: impl Fn(&Dataset, usize) -> lutweave::nn::Result<Thermometer>,
) -> Checked<lutweave::nn::Result<Arc<dyn LayerSpec>>> {
    let channels = train.shape()[0];
    if levels.len() != channels {
        let got = levels.len();
        return Err(format!("`levels` has {got} numbers for {channels} channels"));
    }
    let made = || {
        let (mut graph, mut first, mut names) = (Graph::new().any_input("x"), 0, Vec::new());
        for same in levels.chunk_by(|a, b| a == b) {
            let slice = Slice::channels(first..first + same.len());
            let mut part = Sequential::new(train.shape());
            if let Values::F32(_) = train.values() {
                part = part.reading(DType::F32);
            }
            let part = part.then(slice);
            let seen = part.clone().build(0)?.outputs_over(train)?;
            first += same.len();
            names.push(format!("channels{first}"));
            let name = &names[names.len() - 1];
            graph = graph.node(name, part.then(place(&seen, same[0])?), &["x"]);
        }
        let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
        Ok(Arc::new(graph.node("bits", Concatenate::new(), &inputs).output("bits")) as _)
    };
    Ok(made())
}

/// Which outputs of a chain vary over the samples.
fn live(chain: &Sequential, train: &Dataset, seed: u64) -> lutweave::nn::Result<Vec<bool>> {
    chain.clone().build(seed)?.live_outputs(train)
}

/// The specification of a layer from its table.
fn layer(table: &Value, live: Option<Live<'_>>) -> Checked<Arc<dyn LayerSpec>> {
    let Some(kind) = table.get("kind").and_then(Value::as_str) else {
        return Err("a layer needs its `kind`, such as \"lut\"".to_owned());
    };
    let mut settings = table.as_object().cloned().unwrap_or_default();
    settings.remove("kind");
    if settings.remove("live") == Some(json!(true)) {
        let Some(live) = live else {
            return Err("`live` is for layers of a chain only".to_owned());
        };
        let live = live().map_err(|error| error.to_string())?;
        settings.insert("live".to_owned(), json!(live));
    }
    if let Some(inner) = settings.remove("layers") {
        let Value::Array(inner) = inner else { return Err("`layers` is a list".to_owned()) };
        let inner: Checked<Vec<_>> = inner.iter().map(|table| layer(table, None)).collect();
        let entry =
            |spec: &Arc<dyn LayerSpec>| json!({"kind": spec.kind(), "config": spec.config()});
        let layers: Vec<Value> = inner?.iter().map(entry).collect();
        if kind == "sequential" {
            settings.insert("layers".to_owned(), json!(layers));
        } else {
            settings.insert("kind".to_owned(), json!("sequential"));
            settings.insert("config".to_owned(), json!({"layers": layers}));
        }
    }
    let mut config = defaults(kind, &settings);
    // Windows are a table of their own in model files.
    if config.get("window").is_some() {
        for key in ["filter", "stride", "dilation", "padding", "border"] {
            if let Some(value) = settings.remove(key) {
                config["window"][key] = value;
            }
        }
    }
    if settings.get("batch_norm") == Some(&json!(false)) {
        settings.insert("batch_norm".to_owned(), Value::Null);
    }
    merge(&mut config, Value::Object(settings));
    registry::spec(kind, &config).map_err(|error| match error {
        lutweave::nn::Error::State { what, .. } if what.starts_with("unknown ") => what,
        lutweave::nn::Error::State { what, .. } if what == "there is no layer of this kind" => {
            let nearest = super::place::nearest(kind, registry::kinds());
            let nearest = nearest.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
            format!("there is no layer `{kind}`{nearest}")
        }
        other => other.to_string(),
    })
}

/// Puts settings over others: tables into tables, anything else in place of what was there.
fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                match under.get_mut(&key) {
                    // A table with one entry may be a choice with its settings: it is taken whole.
                    Some(old @ Value::Object(_)) if key != "wiring" => merge(old, value),
                    _ => {
                        under.insert(key, value);
                    }
                }
            }
        }
        (under, over) => *under = over,
    }
}

/// What a layer's settings are where none are given.
fn defaults(kind: &str, given: &serde_json::Map<String, Value>) -> Value {
    match kind {
        "lut" => {
            let mut config = LutLayer::new(1).config();
            let model = given.get("model").and_then(Value::as_str).unwrap_or("smoothed");
            config["settings"] = model_defaults(model);
            if let Some(Value::Array(axes)) = given.get("shape") {
                let nodes = axes.iter().filter_map(Value::as_u64).fold(1, u64::saturating_mul);
                config["nodes"] = json!(nodes);
            }
            config
        }
        "average_pool" => AveragePool::new([2, 2]).config(),
        "batch_norm" => BatchNormalization::new().config(),
        "binarize" => Binarize::new().config(),
        "bit_encode" => BitEncode::new(8).config(),
        "convolution" => {
            let inner = Sequential::inner();
            Convolution::new([3, 3], inner).padding(Padding::Valid).config()
        }
        "dense" => Dense::new(&[1]).config(),
        "dropout" => Dropout::new(0.5).config(),
        "hard_tanh" => HardTanh::new().config(),
        "insert_bit_error" => InsertBitError::new(0.0).config(),
        "max_pool" => MaxPool::new([2, 2]).config(),
        "real_to_binary" => RealToBinary::new().config(),
        "relu" => Relu::new().config(),
        "sigmoid" => Sigmoid::new().config(),
        "softmax" => Softmax::new().config(),
        "stochastic_batch_norm" => StochasticBatchNormalization::new().config(),
        "stochastic_max_pool" => StochasticMaxPool::new([2, 2]).config(),
        "up_sample" => UpSample::new([2, 2]).config(),
        _ => json!({}),
    }
}

fn model_defaults(model: &str) -> Value {
    use lutweave::nn::LutModel as _;
    match model {
        "smoothed" => Smoothed::default().config(),
        "hard_table" => HardTable::default().config(),
        "walsh" => Walsh::default().config(),
        "light" => Light::default().config(),
        "gate_mixture" => GateMixture::default().config(),
        "micro_mlp" => MicroMlp::default().config(),
        _ => Value::Null,
    }
}

/// Nodes that read one another, and `x`, what the encoder gives.
fn graph(config: &Config, source: &Source) -> Result<Graph> {
    let mut graph = Graph::new().any_input("x");
    let mut last = String::new();
    for table in &config.network.nodes {
        let mut settings = table.get_ref().clone();
        let text = |value: Option<toml::Value>| value?.as_str().map(str::to_owned);
        let Some(name) = text(settings.remove("name")) else {
            return Err(at(source, table, "a node needs its `name`"));
        };
        let inputs = settings.remove("inputs").and_then(|inputs| {
            let names = inputs.as_array()?.iter().map(|name| name.as_str().map(str::to_owned));
            names.collect::<Option<Vec<String>>>()
        });
        let Some(inputs) = inputs else {
            let what = format!("node `{name}` needs its `inputs`: names of nodes, or \"x\"");
            return Err(at(source, table, &what));
        };
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        graph = if let Some(same) = text(settings.remove("same")) {
            graph.again(&name, &same, &inputs)
        } else {
            let spec = layer(&to_json(&settings), None);
            graph.node(&name, spec.map_err(|what| at(source, table, &what))?, &inputs)
        };
        last = name;
    }
    Ok(graph.output(config.network.output.as_ref().unwrap_or(&last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_as_the_constructor_has_it() {
        let spec = layer(&json!({"kind": "lut", "nodes": 7, "fan_in": 4}), None).unwrap();
        assert_eq!(spec.config(), LutLayer::new(7).fan_in(4).config());
        let table = json!({"kind": "lut", "nodes": 7, "model": "walsh", "batch_norm": false,
            "wiring": {"windows": {"height": 3, "width": 5}}});
        let wiring = WiringRule::Windows { height: 3, width: 5 };
        let want = LutLayer::new(7).model(lutweave::nn::models::Walsh::default()).batch_norm(None);
        assert_eq!(layer(&table, None).unwrap().config(), want.wiring(wiring).config());
        let table = json!({"kind": "convolution", "filter": [3, 2],
            "layers": [{"kind": "lut", "nodes": 8}]});
        let inner = Sequential::inner().then(LutLayer::new(8));
        assert_eq!(layer(&table, None).unwrap().config(), Convolution::new([3, 2], inner).config());
    }

    fn built(text: &str, train: &Dataset) -> Result<Network> {
        let source = Source { file: "a.toml".to_owned(), text: text.to_owned() };
        network(&source.parse()?, &source, train)
    }

    /// Images of random pixels.
    fn images(shape: &[usize]) -> Dataset {
        use lutweave::tensor::{Targets, Values, rng};
        let mut stream = rng::stream(1, &[]);
        let values = (0..20 * shape.iter().product::<usize>())
            .map(|_| rng::word(&mut stream) as u8)
            .collect();
        let labels = (0..20).map(|sample| sample % 10).collect();
        let targets = Targets::Classes { count: 10, labels };
        Dataset::new("images", shape, Values::U8(values), targets).unwrap()
    }

    #[test]
    fn the_ready_settings_build_networks() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/configs");
        let Ok(files) = std::fs::read_dir(folder) else {
            eprintln!("skipped: no examples beside this package");
            return;
        };
        let mut numbers = std::collections::BTreeMap::new();
        for file in files {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let shape: &[usize] = match name.as_str() {
                "digits" | "digits-auto-encoder" => &[1, 8, 8],
                "diabetes" => &[10],
                _ => &[1, 28, 28],
            };
            let net = built(&text, &images(shape)).map_err(|error| error.text());
            numbers.insert(name, net.unwrap().describe().parameters() / 16);
        }
        let want = [
            ("diabetes", 1200),  // tables of four inputs
            ("digits", 4 * 900), // and of six
            ("digits-auto-encoder", 4 * 1824),
            ("mnist-cnn", 4 * 3594),
            ("mnist-cnn-small", 4 * 538),
            ("mnist-descent", 4 * 690),
            ("mnist-simple", 4 * 3182),
            ("mnist-thermometer", 4 * 3000 + 6 * 1000), // sixteen candidates for each input
        ];
        let want = want.map(|(name, luts)| (name.to_owned(), luts));
        assert_eq!(numbers.into_iter().collect::<Vec<_>>(), want);
    }

    #[test]
    fn entries_of_the_zoo_build_the_networks_that_its_functions_build() {
        use lutweave::zoo::{self, ENTRIES};
        for entry in ENTRIES {
            let data = images(match entry.data {
                "digits" => &[1, 8, 8],
                "cifar10" => &[3, 32, 32],
                _ => &[1, 28, 28],
            });
            let net = built(entry.settings, &data).map_err(|error| error.text()).unwrap();
            let coded = match entry.name {
                "digits-tiny" => zoo::digits_tiny(&data, 1),
                "mnist-tiny" => zoo::mnist_tiny(&data, 1),
                "mnist-small" => zoo::mnist_small(&data, 1),
                "mnist-mid" => zoo::mnist_mid(&data, 1),
                "mnist-large" => zoo::mnist_large(&data, 1),
                "mnist-lean" => zoo::mnist_lean(&data, 1),
                "mnist-conv" => zoo::mnist_conv(&data, 1),
                "mnist-simple" => zoo::mnist_simple(&data, 1),
                "mnist-simple-x1" => zoo::mnist_simple_x1(&data, 1),
                "cifar10-dense" => zoo::cifar10_dense(&data, 1),
                "cifar10-lean" => zoo::cifar10_lean(&data, 1),
                "cifar10-conv" => zoo::cifar10_conv(&data, 1),
                other => panic!("no function builds {other}"),
            };
            let coded = coded.unwrap();
            assert_eq!(net.state(), coded.state(), "{}", entry.name);
            assert_eq!(net.describe(), coded.describe(), "{}", entry.name);
        }
    }

    #[test]
    fn graphs_are_built_from_nodes() {
        let text = "
            [data]
            set = 'digits'
            [encoder]
            kind = 'thermometer'
            [[network.nodes]]
            name = 'a'
            kind = 'lut'
            nodes = 20
            inputs = ['x']
            [[network.nodes]]
            name = 'b'
            same = 'a'
            inputs = ['x']
            [[network.nodes]]
            name = 'both'
            kind = 'concatenate'
            inputs = ['a', 'b']
            [[network.nodes]]
            name = 'sums'
            kind = 'group_sum'
            classes = 10
            inputs = ['both']
            [training]
            epochs = 1
            batch = 8
        ";
        let net = built(text, &images(&[1, 8, 8])).unwrap();
        assert_eq!((net.luts(), &net.output().shape[..]), (20, &[10][..]));
        let refused = |old: &str, new: &str| {
            built(&text.replacen(old, new, 1), &images(&[1, 8, 8])).unwrap_err().text()
        };
        assert!(refused("inputs = ['x']", "").contains("node `a` needs its `inputs`"));
        let said = refused("['a', 'b']", "['a', 'c']");
        assert!(said.contains('c') && said.contains("both"), "{said}");
    }

    #[test]
    fn an_encoder_may_have_layers_before_it() {
        let text = "
            [data]
            set = 'cifar10'
            [encoder]
            kind = 'thermometer'
            levels = 2
            placement = 'channel_quantile'
            before = [{ kind = 'differences', colour = true, distances = [1, 2] }]
            [[network.layers]]
            kind = 'lut'
            nodes = 20
            live = true
            wiring = { windows = { height = 3, width = 3 } }
            [[network.layers]]
            kind = 'group_sum'
            classes = 10
            [training]
            epochs = 1
            batch = 8
        ";
        let data = images(&[3, 6, 6]);
        let net = built(text, &data).unwrap();
        let tail = net.lut_tail().unwrap();
        let x = net.batch(&data, &[0, 1, 2]).unwrap();
        let bits = tail.inputs(&x, &lutweave::backend::Cpu::new()).unwrap();
        // Eight edges, three differences of colours and the luminance, of two levels each.
        assert_eq!(bits.shape(), [24, 6, 6]);
        let refused =
            |old: &str, new: &str| built(&text.replacen(old, new, 1), &data).unwrap_err().text();
        assert!(refused("'differences'", "'diferences'").contains("did you mean `differences`?"));
        let said = refused("[1, 2]", "[0]");
        assert!(said.contains("before: 0.differences: expected distances to be 1 to 16"), "{said}");
        assert!(refused("before = [", "befor = [").contains("`learn` or `before`"));
        let each = "levels = [2, 2, 2, 2, 1, 1, 1, 1, 3, 3, 3, 5]";
        let net = built(&text.replacen("levels = 2", each, 1), &data).unwrap();
        let bits = net.lut_tail().unwrap().inputs(&x, &lutweave::backend::Cpu::new()).unwrap();
        assert_eq!(bits.shape(), [26, 6, 6]);
        assert!(refused("levels = 2", "levels = [2]").contains("has 1 numbers for 12 channels"));
        assert!(refused("'channel_quantile'", "'even'").contains("\"channel_quantile\""));
    }

    #[test]
    fn thresholds_learn_where_it_is_asked_for() {
        let text = "
            [data]
            set = 'digits'
            [encoder]
            kind = 'thermometer'
            levels = 2
            learn = true
            [[network.layers]]
            kind = 'lut'
            nodes = 20
            [training]
            epochs = 1
            batch = 8
        ";
        let data = images(&[3, 8, 8]);
        let paths = |old: &str, new: &str| -> std::result::Result<Vec<String>, String> {
            let mut net =
                built(&text.replacen(old, new, 1), &data).map_err(|error| error.text())?;
            let all = net.parameters_mut();
            Ok(all.into_iter().map(|parameter| parameter.path.clone()).collect())
        };
        let both = ["encoder.first", "encoder.gaps", "1.lut.weights"];
        assert_eq!(paths("true", "true").unwrap()[..3], both);
        assert_eq!(paths("true", "40").unwrap()[..3], both);
        assert_eq!(paths("true", "false").unwrap()[0], both[2]);
        let channels = paths("levels = 2", "levels = [1, 3, 3]").unwrap();
        let learned = channels.iter().filter(|path| path.contains("thermometer.")).count();
        assert_eq!(learned, 3, "a first of each part, gaps of the second: {channels:?}");
        assert!(paths("true", "'yes'").unwrap_err().contains("`learn` is true, false, or"));
        let said = paths("true", "-1.0").unwrap_err();
        assert!(said.contains("encoder: expected learn to be a positive width"), "{said}");
    }

    #[test]
    fn mistakes_name_what_was_meant() {
        let cases = [
            (json!({"nodes": 7}), "needs its `kind`"),
            (json!({"kind": "lutt"}), "did you mean `lut`?"),
            (json!({"kind": "lut", "node": 7}), "unknown field `node`"),
            (json!({"kind": "lut", "nodes": 7, "live": true}), "layers of a chain only"),
        ];
        for (table, says) in cases {
            let error = layer(&table, None).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
