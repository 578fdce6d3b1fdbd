//! Altered files: each gives a netlist or an error.

use lutweave_rtl::{aiger, blif, json};

use crate::common::{Cells, Random, netlist};

/// Bytes with some of them changed, left out, or said again.
fn altered(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            break;
        }
        let (at, other) = (random.below(bytes.len()), random.below(bytes.len()));
        let end = (at + random.below(20)).min(bytes.len());
        match random.below(5) {
            0 => bytes[at] = random.word() as u8,
            1 => bytes[at] = b"0189-. \n\\#[]\"{},"[random.below(16)],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            _ => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(other..other, piece);
            }
        }
    }
    bytes
}

#[test]
fn altered_files_give_a_netlist_or_an_error() {
    let mut random = Random::new(7);
    let (mut read, mut refused) = (0, 0);
    let files: Vec<(&str, Vec<u8>)> = (0..20)
        .flat_map(|seed| {
            let netlist = netlist(seed, Cells::Clocked);
            [
                ("blif", blif::text(&netlist, "top").unwrap().into_bytes()),
                ("aag", aiger::ascii(&netlist).unwrap().into_bytes()),
                ("aig", aiger::binary(&netlist).unwrap()),
                ("json", json::text(&netlist).into_bytes()),
            ]
        })
        .collect();
    for round in 0..4000 {
        let (form, bytes) = &files[round % files.len()];
        let bytes = altered(bytes, &mut random);
        let text = String::from_utf8_lossy(&bytes);
        let found = match *form {
            "blif" => blif::read(&text),
            "json" => json::read(&text),
            _ => aiger::read(&bytes),
        };
        match found {
            Ok(netlist) => {
                read += 1;
                // What was read can be written and read again.
                blif::read(&blif::text(&netlist, "top").unwrap()).unwrap();
            }
            Err(_) => refused += 1,
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}
