#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::print_stdout)]
use lutweave_engine::*;
use lutweave_lut::*;
use std::time::Instant;
fn main() {
    let mut s = 0x9e3779b97f4a7c15u64;
    let mut r = move || { s ^= s << 13; s ^= s >> 7; s ^= s << 17; s };
    for &i in Isa::available() { println!("{i}: {:.2} G ternary/s", ternary_rate(i) / 1e9); }
    let which: Vec<String> = std::env::args().skip(1).collect();
    let mut layers = |name: &str, inputs: usize, width: usize, th: usize, sizes: &[usize], fan: usize, classes: usize, w: &mut dyn FnMut()->u64| {
        let mut b = NetlistBuilder::new(name).unwrap();
        let x = b.input("x", inputs, width).unwrap();
        b.group("e", Role::Encoder).unwrap();
        let mut cur: Vec<Net> = if th == 0 { x.clone() } else {
            let mut v = vec![];
            for (p, word) in x.chunks(width).enumerate() { for t in 0..th { v.push(b.at_least(format!("t{p}_{t}"), word, 1 + (w() % 255)).unwrap()); } }
            v };
        b.group("c", Role::Core).unwrap();
        for (l, &n) in sizes.iter().enumerate() {
            let mut next = vec![];
            for j in 0..n {
                let mut ops: Vec<Net> = vec![];
                while ops.len() < fan { let c = cur[(w() % cur.len() as u64) as usize]; if !ops.contains(&c) { ops.push(c); } }
                let bits = w();
                let t = TruthTable::from_fn(fan, |k| bits >> k & 1 == 1).unwrap();
                next.push(b.lut(format!("l{l}_{j}"), &ops, t).unwrap());
            }
            cur = next;
        }
        b.group("h", Role::Head).unwrap();
        if classes > 0 {
            let g = cur.len() / classes;
            let words: Vec<Vec<Net>> = (0..classes).map(|c| b.popcount(format!("p{c}"), &cur[c * g..(c + 1) * g]).unwrap()).collect();
            let y = b.argmax("class", &words).unwrap();
            b.output("y", y.len(), &y).unwrap();
        } else { b.output("y", 1, &cur).unwrap(); }
        b.finish().unwrap()
    };
    let nets = [
        ("random", layers("random", 784, 1, 0, &[2000], 6, 0, &mut r), 2000),
        ("simple", layers("simple", 784, 1, 0, &[2304, 384, 64, 360, 60, 10], 6, 0, &mut r), 3182),
        ("thermo", layers("thermo", 784, 8, 3, &[2000, 1000], 6, 10, &mut r), 3000),
        ("gates", layers("gates", 784, 1, 0, &[8000; 6], 2, 10, &mut r), 48000),
    ];
    for (name, net, luts) in &nets {
        if !which.is_empty() && !which.iter().any(|w| w == name) { continue; }
        let t = Instant::now();
        let e = Engine::compile(net).unwrap();
        println!("{name}: compile {:.1} ms", t.elapsed().as_secs_f64() * 1e3);
        if std::env::var("EMIT").is_ok() { std::fs::write(format!("/tmp/engine-{name}.c"), e.to_c().unwrap()).unwrap(); continue; }
        let frames = 8192;
        let xb: Vec<u8> = (0..frames * e.input_words()).map(|_| if *name == "thermo" { r() as u8 } else { r() as u8 & 1 }).collect();
        let xp: Vec<u64> = (0..frames / 64 * e.input_bits()).map(|_| r()).collect();
        let mut yb = vec![0; frames * e.output_words()];
        let mut yp = vec![0; frames / 64 * e.output_bits()];
        for &isa in Isa::available() {
            let e = e.clone().on(isa).unwrap();
            let mut time = |f: &mut dyn FnMut()| {
                f();
                let mut v: Vec<f64> = (0..21).map(|_| { let t = Instant::now(); f(); t.elapsed().as_secs_f64() }).collect();
                v.sort_by(f64::total_cmp); (v[10], v[0]) };
            rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| {
                let c = e.core_rate(Feed::Packed); println!("  {isa:9} core   {:7.2} M/s {:6.1} G lut/s, bytes {:7.2} pack {:7.2}", c / 1e6, c * *luts as f64 / 1e9, e.core_rate(Feed::Bytes) / 1e6, e.pack_rate() / 1e6);
                let (m, lo) = time(&mut || e.run_packed(&xp, frames, &mut yp).unwrap());
                let g = |s: f64| frames as f64 / s;
                println!("  {isa:9} packed {:7.2} M/s (best {:7.2})  {:6.1} G lut/s (best {:6.1})", g(m) / 1e6, g(lo) / 1e6, g(m) * *luts as f64 / 1e9, g(lo) * *luts as f64 / 1e9);
                let (m, lo) = time(&mut || e.run_u8(&xb, &mut yb).unwrap());
                println!("  {isa:9} u8     {:7.2} M/s (best {:7.2})", g(m) / 1e6, g(lo) / 1e6);
            });
        }
        let n = e.input_words(); let o = e.output_words();
        let mut y = vec![0; o];
        let mut v: Vec<f64> = (0..200).map(|i| { let t = Instant::now(); e.run_one(&xb[i * n..][..n], &mut y).unwrap(); t.elapsed().as_secs_f64() }).collect();
        v.sort_by(f64::total_cmp);
        println!("  one frame {:.2} us (best {:.2})", v[100] * 1e6, v[0] * 1e6);
    }
}
