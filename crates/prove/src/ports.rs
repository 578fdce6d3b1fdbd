//! Which port of one netlist is which of the other.

use lutweave_lut::{Net, Netlist};

use crate::{Error, Result};

/// The ports of two netlists, paired by name. Those of the first give the order.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    /// For each input net of the second netlist, that of the first.
    pub(crate) inputs: Vec<usize>,
    /// For each output port of the first, the index of that of the second.
    pub(crate) outputs: Vec<usize>,
}

/// Pairs the ports.
pub(crate) fn pair(a: &Netlist, b: &Netlist) -> Result<Ports> {
    fn find<P>(
        kind: &'static str,
        (of, from): (&[P], &Netlist),
        within: &[P],
        shape: impl Fn(&P) -> (&str, usize, usize),
    ) -> Result<Vec<usize>> {
        of.iter()
            .map(|port| {
                let (name, words, width) = shape(port);
                let other = within.iter().position(|other| shape(other).0 == name);
                let Some(other) = other else {
                    let (name, netlist) = (name.to_owned(), from.name().to_owned());
                    return Err(Error::Missing { port: kind, name, netlist });
                };
                let (_, there, wide) = shape(&within[other]);
                if (words, width) != (there, wide) {
                    return Err(Error::Shape {
                        port: kind,
                        name: name.to_owned(),
                        first: (words, width),
                        second: (there, wide),
                    });
                }
                Ok(other)
            })
            .collect()
    }
    find("input", (a.inputs(), a), b.inputs(), |p| (&p.name, p.words, p.width))?;
    let of_b = find("input", (b.inputs(), b), a.inputs(), |p| (&p.name, p.words, p.width))?;
    let outputs = find("output", (a.outputs(), a), b.outputs(), |p| (&p.name, p.words, p.width))?;
    find("output", (b.outputs(), b), a.outputs(), |p| (&p.name, p.words, p.width))?;
    let inputs = of_b.iter().flat_map(|&port| a.inputs()[port].nets().map(Net::index)).collect();
    Ok(Ports { inputs, outputs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ports: &str) -> Netlist {
        Netlist::from_text(&format!("lutweave-netlist 1\nnetlist n\n{ports}end\n")).unwrap()
    }

    #[test]
    fn ports_go_by_name_and_must_have_the_same_shape() {
        let a = read("input x 2 x 1\ninput y 1 x 3\noutput p 1 x 1 x[0]\noutput q 1 x 3 y\n");
        let b = read("input y 1 x 3\ninput x 2 x 1\noutput q 1 x 3 y\noutput p 1 x 1 x[0]\n");
        let ports = pair(&a, &b).unwrap();
        assert_eq!((ports.inputs, ports.outputs), (vec![2, 3, 4, 0, 1], vec![1, 0]));
        for (other, says) in [
            (
                "input x 2 x 1\noutput p 1 x 1 x[0]\noutput q 1 x 1 x[0]\n",
                "compare netlists: input `y` is in `n` only",
            ),
            (
                "input x 2 x 1\ninput y 3 x 1\noutput p 1 x 1 x[0]\noutput q 1 x 1 y[0]\n",
                "compare netlists: input `y` has 1 words of 3 bits in the first netlist, 3 of 1 in the second",
            ),
            (
                "input x 2 x 1\ninput y 1 x 3\noutput p 1 x 1 x[0]\n",
                "compare netlists: output `q` is in `n` only",
            ),
        ] {
            assert_eq!(pair(&a, &read(other)).unwrap_err().to_string(), says);
            assert!(pair(&read(other), &a).is_err());
        }
    }
}
