//! Puts the page's files into the node: each as it is and as gzip, with its SHA-256, in one generated table.

use std::io;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "node")]
    page::embed()?;
    Ok(())
}

#[cfg(feature = "node")]
mod page {
    use std::{
        env,
        fmt::Write as _,
        fs,
        io::{self, Write as _},
        path::{Path, PathBuf},
    };

    use flate2::{Compression, GzBuilder};
    use sha2::{Digest, Sha256};

    /// What a browser asks for. Tests and tools lie beside it and stay out.
    const SERVED: &[&str] = &["css", "html", "js", "mjs", "svg", "wasm"];
    const NOT_SERVED: &[&str] = &["node_modules", "test", "tools"];

    pub(super) fn embed() -> io::Result<()> {
        let variable = |name| env::var_os(name).map(PathBuf::from).ok_or(io::ErrorKind::NotFound);
        let root = variable("CARGO_MANIFEST_DIR")?.join("page");
        let out = variable("OUT_DIR")?;
        println!("cargo:rerun-if-changed={}", root.display());
        let mut files = Vec::new();
        walk(&root, "", &mut files)?;
        files.sort();
        let mut all = Sha256::new();
        let mut table = String::from("static FILES: &[File] = &[\n");
        for (at, name) in files.iter().enumerate() {
            let path = root.join(name);
            let bytes = fs::read(&path)?;
            let digest = hex(&Sha256::digest(&bytes));
            all.update(name.as_bytes());
            all.update(digest.as_bytes());
            let packed = out.join(format!("{at}.gz"));
            fs::write(&packed, gzip(&bytes)?)?;
            writeln!(
                table,
                "    File {{ name: {name:?}, sha256: {digest:?}, raw: include_bytes!({path:?}), gzip: include_bytes!({packed:?}) }},"
            )
            .map_err(io::Error::other)?;
        }
        let version: String = hex(&all.finalize()).chars().take(16).collect();
        writeln!(table, "];\n/// Names all files together: it changes when any of them does.\nstatic VERSION: &str = {version:?};")
            .map_err(io::Error::other)?;
        fs::write(out.join("page.rs"), table)
    }

    fn walk(folder: &Path, prefix: &str, files: &mut Vec<String>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if path.is_dir() {
                if !NOT_SERVED.contains(&name) {
                    walk(&path, &format!("{prefix}{name}/"), files)?;
                }
            } else if path.extension().and_then(|end| end.to_str()).is_some_and(|end| SERVED.contains(&end)) {
                files.push(format!("{prefix}{name}"));
            }
        }
        Ok(())
    }

    /// Without a time in the header: the same file, the same bytes.
    fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut packer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        packer.write_all(bytes)?;
        packer.finish()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}
