"""Compiles CUDA programs to PTX with NVRTC, called by `cargo xtask cuda-check`.

Arguments: the NVRTC library, the folder of programs, generations. For each NAME.cu and generation GG it
writes NAME.GG.ptx beside it. What the compiler says of one that fails goes to standard error.
"""

import ctypes
import pathlib
import sys

library, folder, generations = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
nvrtc = ctypes.CDLL(library)
failed = 0
for path in sorted(folder.glob("*.cu")):
    for generation in generations:
        program, size = ctypes.c_void_p(), ctypes.c_size_t()
        nvrtc.nvrtcCreateProgram(
            ctypes.byref(program), path.read_bytes(), path.name.encode(), 0, None, None
        )
        options = [f"--gpu-architecture=compute_{generation}", "--fmad=false", "--std=c++17"]
        options = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
        error = nvrtc.nvrtcCompileProgram(program, len(options), options)
        if error:
            nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            log = ctypes.create_string_buffer(size.value)
            nvrtc.nvrtcGetProgramLog(program, log)
            print(f"{path.name}, generation {generation}:\n{log.value.decode()}", file=sys.stderr)
            failed = 1
            continue
        nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
        ptx = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetPTX(program, ptx)
        path.with_suffix(f".{generation}.ptx").write_bytes(ptx.value)
sys.exit(failed)
