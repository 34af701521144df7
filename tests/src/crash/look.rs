//! What a vault shows: every name, every byte, every attribute, read through the file
//! system, and compared with what it should.

use std::collections::BTreeMap;

use coffer_fs::types::{Caller, FileSystem, Ino, Kind, OpenMode, ROOT};
use coffer_fs::vaultfs::CofferFs;

use super::model::{Shown, View};

/// One name as the vault shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// Its inode.
    pub ino: Ino,
    /// How many names it says it has.
    pub nlink: u32,
    /// Its content, a symlink's target; or the errno of reading it.
    pub bytes: Result<Vec<u8>, i32>,
    /// Its attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Found {
    /// A name whose file cannot be looked at.
    fn unreadable(kind: Kind, ino: Ino, errno: i32) -> Found {
        Found {
            kind,
            ino,
            nlink: 0,
            bytes: Err(errno),
            xattrs: BTreeMap::new(),
        }
    }
}

/// Reads everything.
///
/// # Errors
/// What could not even be listed, and why.
pub fn look(fs: &CofferFs) -> Result<BTreeMap<String, Found>, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(ROOT, String::new())];
    while let Some((folder, path)) = folders.pop() {
        let mut names = Vec::new();
        fs.readdir(folder, 0, &mut |entry| {
            if entry.name != b"." && entry.name != b".." {
                names.push((entry.name.to_vec(), entry.kind, entry.ino));
            }
            true
        })
        .map_err(|e| format!("readdir of “{path}”: {e:?}"))?;
        for (name, kind, ino) in names {
            let full = format!("{path}/{}", String::from_utf8_lossy(&name));
            let attr = match fs.lookup(folder, &name) {
                Ok(attr) => attr,
                Err(e) => {
                    found.insert(full, Found::unreadable(kind, ino, e.0));
                    continue;
                }
            };
            let bytes = match attr.kind {
                Kind::Folder => {
                    folders.push((attr.ino, full.clone()));
                    Ok(Vec::new())
                }
                Kind::Symlink => fs.readlink(attr.ino).map_err(|e| e.0),
                _ => read(fs, attr.ino, attr.size),
            };
            let mut xattrs = BTreeMap::new();
            let listed = fs.listxattr(attr.ino).unwrap_or_default();
            for key in listed.split(|b| *b == 0).filter(|key| !key.is_empty()) {
                if let Ok(value) = fs.getxattr(attr.ino, key) {
                    xattrs.insert(key.to_vec(), value);
                }
            }
            fs.forget(attr.ino, 1);
            let (kind, ino, nlink) = (attr.kind, attr.ino, attr.nlink);
            found.insert(
                full,
                Found {
                    kind,
                    ino,
                    nlink,
                    bytes,
                    xattrs,
                },
            );
        }
    }
    Ok(found)
}

fn read(fs: &CofferFs, ino: Ino, size: u64) -> Result<Vec<u8>, i32> {
    let mode = OpenMode {
        read: true,
        ..OpenMode::default()
    };
    let handle = fs.open(Caller::default(), ino, mode).map_err(|e| e.0)?;
    let mut out = Vec::new();
    let mut result = Ok(());
    while result.is_ok() && (out.len() as u64) < size {
        let before = out.len();
        result = fs.read(ino, handle, before as u64, 1 << 20, &mut out);
        if out.len() == before {
            break;
        }
    }
    fs.release(ino, handle);
    result.map_err(|e| e.0)?;
    Ok(out)
}

/// What differs first between what should be and what is, if anything.
pub fn difference(expected: &View, found: &BTreeMap<String, Found>) -> Option<String> {
    for path in expected.keys() {
        if !found.contains_key(path) {
            return Some(format!("{path} is missing"));
        }
    }
    let mut inos: BTreeMap<u64, Ino> = BTreeMap::new();
    for (path, found) in found {
        let Some(shown) = expected.get(path) else {
            return Some(format!("{path} should not be there"));
        };
        match (shown, found.kind) {
            (Shown::Folder, Kind::Folder) if found.bytes.is_ok() => {}
            (Shown::Symlink(target), Kind::Symlink) if found.bytes.as_ref() == Ok(target) => {}
            (Shown::File { id, bytes, xattrs }, Kind::File) => {
                match &found.bytes {
                    Ok(read) if read == &**bytes => {}
                    Ok(read) => return Some(format!("{path}: {}", first_difference(bytes, read))),
                    Err(errno) => return Some(format!("{path} cannot be read: errno {errno}")),
                }
                if xattrs != &found.xattrs {
                    return Some(format!("{path} has xattrs {:?}, not {xattrs:?}", found.xattrs));
                }
                if *inos.entry(*id).or_insert(found.ino) != found.ino {
                    return Some(format!("{path} is not the file that its other names are"));
                }
            }
            _ => return Some(format!("{path} is {:?}", found.kind)),
        }
    }
    let mut links: BTreeMap<Ino, u32> = BTreeMap::new();
    for one in found.values().filter(|one| one.kind == Kind::File) {
        *links.entry(one.ino).or_default() += 1;
    }
    if links.len() != inos.len() {
        return Some("two files have become one".into());
    }
    found
        .iter()
        .find(|(_, one)| one.kind == Kind::File && one.nlink != links[&one.ino])
        .map(|(path, one)| format!("{path} counts {} names", one.nlink))
}

fn first_difference(expected: &[u8], read: &[u8]) -> String {
    let at = expected.iter().zip(read).position(|(a, b)| a != b);
    match at {
        Some(at) => format!(
            "byte {at} of {} is {}, not {} (should have {} bytes)",
            read.len(),
            read[at],
            expected[at],
            expected.len()
        ),
        None => format!("{} bytes instead of {}", read.len(), expected.len()),
    }
}
