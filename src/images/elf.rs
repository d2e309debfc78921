//! Whether a file can be the server of a stand-in image: an executable for this machine's nodes that needs nothing else.
//!
//! The images have no dynamic linker and no libraries, so a dynamically linked program would fail to start there with a
//! "no such file" that names the wrong file.

/// What a file is instead of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAServer {
    /// It has not the form of a Linux program.
    #[error("it is no 64-bit Linux program (ELF)")]
    NotElf,
    /// It ends before its headers do.
    #[error("it is cut off")]
    CutOff,
    /// It is an object file, a shared library or a core dump.
    #[error("it is no executable, but an object file, a library or a core dump")]
    NotExecutable,
    /// It is for other processors.
    #[error("it is for {found}, while the nodes on this machine are {expected}")]
    OtherMachine {
        /// Its processor.
        found: String,
        /// The processor of this machine.
        expected: &'static str,
    },
    /// It needs libraries that the image does not have.
    #[error("it is dynamically linked")]
    Dynamic,
    /// There is no architecture of container images for this machine.
    #[error("stand-ins are not known on {0} machines")]
    UnknownMachine(&'static str),
}

/// A processor: Rust's name, the container images' name, ELF's number.
struct Machine {
    rust: &'static str,
    image: &'static str,
    elf: u16,
}

const MACHINES: [Machine; 3] = [
    Machine { rust: "x86_64", image: "amd64", elf: 62 },
    Machine { rust: "aarch64", image: "arm64", elf: 183 },
    Machine { rust: "riscv64", image: "riscv64", elf: 243 },
];

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const PT_INTERP: u32 = 3;

/// The architecture of this machine's nodes, as images name it.
pub(super) fn architecture() -> &'static str {
    this_machine().map_or(std::env::consts::ARCH, |machine| machine.image)
}

fn this_machine() -> Option<&'static Machine> {
    MACHINES.iter().find(|machine| machine.rust == std::env::consts::ARCH)
}

/// Checks that the file is an executable for this machine's nodes without a dynamic linker.
pub(super) fn check(file: &[u8]) -> Result<(), NotAServer> {
    let this = this_machine().ok_or(NotAServer::UnknownMachine(std::env::consts::ARCH))?;
    // Magic, 64 bits, little-endian: so are all of `MACHINES`.
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return Err(NotAServer::NotElf);
    }
    let machine = u16_at(file, 18)?;
    if machine != this.elf {
        let known = MACHINES.iter().find(|other| other.elf == machine);
        let found = known.map_or_else(|| format!("ELF machine {machine}"), |other| other.image.to_owned());
        return Err(NotAServer::OtherMachine { found, expected: this.image });
    }
    // A library is a position-independent file as many programs are, but has nowhere to begin.
    if !matches!(u16_at(file, 16)?, ET_EXEC | ET_DYN) || u64_at(file, 24)? == 0 {
        return Err(NotAServer::NotExecutable);
    }
    let (table, size, count) = (u64_at(file, 32)?, u16_at(file, 54)?, u16_at(file, 56)?);
    for index in 0..u64::from(count) {
        let offset = index.checked_mul(u64::from(size)).and_then(|offset| offset.checked_add(table)).ok_or(NotAServer::CutOff)?;
        if u32_at(file, usize::try_from(offset).map_err(|_| NotAServer::CutOff)?)? == PT_INTERP {
            return Err(NotAServer::Dynamic);
        }
    }
    Ok(())
}

fn bytes_at<const N: usize>(file: &[u8], offset: usize) -> Result<[u8; N], NotAServer> {
    file.get(offset..).and_then(|rest| rest.first_chunk()).copied().ok_or(NotAServer::CutOff)
}

fn u16_at(file: &[u8], offset: usize) -> Result<u16, NotAServer> {
    bytes_at(file, offset).map(u16::from_le_bytes)
}

fn u32_at(file: &[u8], offset: usize) -> Result<u32, NotAServer> {
    bytes_at(file, offset).map(u32::from_le_bytes)
}

fn u64_at(file: &[u8], offset: usize) -> Result<u64, NotAServer> {
    bytes_at(file, offset).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header with one program header of the given type.
    fn program(kind: u16, machine: u16, entry: u64, segment: u32) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[16..18].copy_from_slice(&kind.to_le_bytes());
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[24..32].copy_from_slice(&entry.to_le_bytes());
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[54..56].copy_from_slice(&56_u16.to_le_bytes());
        file[56..58].copy_from_slice(&1_u16.to_le_bytes());
        file[64..68].copy_from_slice(&segment.to_le_bytes());
        file
    }

    #[test]
    fn programs_are_told_from_the_rest() {
        let this = this_machine().unwrap().elf;
        assert_eq!(check(&program(ET_EXEC, this, 1, 1)), Ok(()));
        assert_eq!(check(&program(ET_DYN, this, 1, 1)), Ok(()));
        assert_eq!(check(&program(ET_DYN, this, 1, PT_INTERP)), Err(NotAServer::Dynamic));
        assert_eq!(check(&program(ET_DYN, this, 0, 1)), Err(NotAServer::NotExecutable));
        assert_eq!(check(&program(1, this, 1, 1)), Err(NotAServer::NotExecutable));
        assert_eq!(check(&program(ET_EXEC, this, 1, 1)[..64]), Err(NotAServer::CutOff));
        assert_eq!(check(b"#!/bin/sh"), Err(NotAServer::NotElf));
        let other = MACHINES.iter().find(|machine| machine.elf != this).unwrap();
        let error = check(&program(ET_EXEC, other.elf, 1, 1)).unwrap_err().to_string();
        assert!(error.contains(other.image) && error.contains(architecture()), "{error}");
    }

    proptest! {
        #[test]
        fn no_file_panics(start in 0..3_usize, rest: Vec<u8>) {
            let whole = program(ET_DYN, this_machine().unwrap().elf, 1, 1);
            let head = [&b""[..], b"\x7fELF\x02\x01", &whole[..32]][start];
            let _ = check(&[head, &rest].concat());
        }
    }
}
