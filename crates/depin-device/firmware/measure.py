#!/usr/bin/env python3
"""Prints the flash, static RAM and stack of the firmware with one part more each time.

Needs: rustup target add thumbv7em-none-eabihf; binutils (readelf); for the stack qemu-system-arm.
The stack is what the firmware has written of its RAM above .bss: the emulator's memory begins as zeros, and is saved at the end.
"""
import os, re, shutil, socket, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = "thumbv7em-none-eabihf"
RAM, RAM_SIZE = 0x2000_0000, 32 * 1024
PARTS = ["", "element", "ed25519", "ed25519,challenge", "ed25519,readings", "ed25519,queue",
         "element,challenge,readings,queue", "ed25519,challenge,readings,queue"]


def build(features):
    command = ["cargo", "build", "--locked", "--release", "--no-default-features", "--features", features]
    subprocess.run(command, cwd=HERE, check=True, stderr=subprocess.DEVNULL if "-q" in sys.argv else None)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "target"))
    return os.path.join(target, TARGET, "release", "depin-device-firmware")


def sections(elf):
    """Size of each section by name."""
    listed = subprocess.run(["readelf", "-SW", elf], check=True, capture_output=True, text=True).stdout
    row = re.compile(r"\] (\.\S+)\s+\w+\s+([0-9a-f]{8}) [0-9a-f]+ ([0-9a-f]+)")
    return {name: (int(at, 16), int(size, 16)) for name, at, size in row.findall(listed)}


def ram_after_running(elf, seconds=8):
    with tempfile.TemporaryDirectory() as folder:
        monitor, dump = os.path.join(folder, "m"), os.path.join(folder, "ram")
        run = subprocess.Popen(["qemu-system-arm", "-M", "mps2-an386", "-kernel", elf, "-display", "none",
                                "-serial", "none", "-monitor", f"unix:{monitor},server,nowait"])
        try:
            time.sleep(seconds)
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(monitor)
                line.sendall(f'pmemsave {RAM} {RAM_SIZE} "{dump}"\n'.encode())
                time.sleep(1)
            with open(dump, "rb") as file:
                return file.read()
        finally:
            run.kill()
            run.wait()


def main():
    emulated = shutil.which("qemu-system-arm")
    print(f"{'parts':36} {'flash':>7} {'static':>7} {'stack':>7}")
    for features in PARTS:
        elf = build(features)
        found = sections(elf)
        size = lambda *names: sum(found.get(name, (0, 0))[1] for name in names)
        stack = "-"
        if emulated and features:
            ram = ram_after_running(elf)
            # After .bss, which the start-up code clears, and so begins where the stack may end.
            at, length = found[".bss"]
            first = at + length - RAM
            if b"all-done" not in ram[:first]:
                sys.exit(f"{features}: the firmware did not come to its end")
            used = next(i for i in range(first, RAM_SIZE) if ram[i])
            stack = RAM_SIZE - used
        flash = size(".vector_table", ".text", ".rodata", ".data")
        print(f"{features or 'nothing':36} {flash:7} {size('.data', '.bss', '.uninit'):7} {stack:>7}")


main()
