//! The test bench of the function.

use std::fmt::{Result, Write};

use super::{Code, Port};
use crate::Vectors;

pub(super) fn emit(code: &Code<'_>, vectors: &Vectors, out: &mut impl Write) -> Result {
    let function = code.function;
    let words = |ports: &[Port]| ports.iter().map(|port| port.words).sum::<usize>();
    let samples = vectors.samples();
    writeln!(
        out,
        "// Test bench of {function}, by lutweave: calls it with every sample, compares every result.\n\
         // $ g++ -std=c++17 -O1 -o {function}_tb {function}.cpp {function}_tb.cpp && ./{function}_tb\n\n\
         #include \"{function}.hpp\"\n\n#include <cstdio>\n\nnamespace {{\n\n\
         const int samples = {samples};"
    )?;
    table("inputs", words(&code.inputs), vectors.inputs(), out)?;
    table("expected", words(&code.outputs), vectors.expected(), out)?;
    for port in code.inputs.iter().chain(&code.outputs) {
        writeln!(out, "{} {}[{}];", code.type_name(port), port.name, port.words)?;
    }
    writeln!(
        out,
        "\n}} // namespace\n\nint main() {{\n  int right = 0;\n  \
         for (int sample = 0; sample < samples; ++sample) {{"
    )?;
    let mut first = 0;
    for port in &code.inputs {
        let (name, words) = (&port.name, port.words);
        writeln!(
            out,
            "    for (int i = 0; i < {words}; ++i) {name}[i] = {}(inputs[sample][{first} + i]);",
            code.type_name(port)
        )?;
        first += words;
    }
    let names: Vec<&str> =
        code.inputs.iter().chain(&code.outputs).map(|port| port.name.as_str()).collect();
    writeln!(out, "    {function}({});\n    bool equal = true;", names.join(", "))?;
    let mut first = 0;
    for port in &code.outputs {
        let (name, words) = (&port.name, port.words);
        writeln!(
            out,
            "    for (int i = 0; i < {words}; ++i)\n      \
             if (std::uint32_t({name}[i]) != expected[sample][{first} + i]) equal = false;"
        )?;
        first += words;
    }
    writeln!(
        out,
        "    if (equal)\n      ++right;\n    else if (sample - right < 5)\n      \
         std::printf(\"sample %d differs\\n\", sample);\n  }}\n  \
         std::printf(\"%s%d/%d results equal\\n\", right == samples ? \"\" : \"FAIL: \", right, samples);\n  \
         return right == samples ? 0 : 1;\n}}"
    )
}

/// Values, a line for each sample.
fn table(name: &str, words: usize, values: &[u64], out: &mut impl Write) -> Result {
    writeln!(out, "const std::uint32_t {name}[samples][{words}] = {{")?;
    for sample in values.chunks(words) {
        out.write_str("  {")?;
        for value in sample {
            write!(out, "{value}u,")?;
        }
        out.write_str("},\n")?;
    }
    writeln!(out, "}};")
}
