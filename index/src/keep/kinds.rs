//! Which kind of file an extension says it is, for people: `files.kind`.

use crate::catalog::extension;
use crate::parse::Format;
use crate::said::Kind;

const KINDS: [(&str, &[&str]); 7] = [
    (
        "picture",
        &[
            "jpg", "jpeg", "jpe", "png", "gif", "webp", "avif", "heic", "heif", "tif", "tiff", "bmp", "svg",
            "svgz", "ico", "raw", "dng", "cr2", "cr3", "nef", "arw", "orf", "rw2", "raf", "psd", "xcf",
            "kra", "jxl", "jp2", "ppm", "pgm",
        ],
    ),
    (
        "audio",
        &[
            "mp3", "m4a", "m4b", "aac", "ogg", "oga", "opus", "flac", "wav", "aif", "aiff", "wma", "mid",
            "midi", "amr", "ape",
        ],
    ),
    (
        "video",
        &[
            "mp4", "m4v", "mov", "mkv", "webm", "avi", "wmv", "mpg", "mpeg", "ogv", "3gp", "flv", "mts",
            "m2ts", "vob",
        ],
    ),
    (
        "document",
        &[
            "pdf", "doc", "docx", "odt", "rtf", "xls", "xlsx", "ods", "ppt", "pptx", "odp", "odg", "epub",
            "mobi", "azw3", "djvu", "tex", "pages", "numbers", "key", "ps", "xps", "fb2", "typ", "org",
            "rst", "adoc", "html", "htm", "xhtml", "mhtml", "eml", "mbox", "msg",
        ],
    ),
    (
        "archive",
        &[
            "zip", "tar", "gz", "tgz", "bz2", "xz", "zst", "7z", "rar", "lz4", "lzma", "br", "iso", "dmg",
            "deb", "rpm", "jar", "cab", "cpio",
        ],
    ),
    (
        "code",
        &[
            "rs", "c", "h", "cc", "cpp", "hpp", "py", "js", "mjs", "ts", "tsx", "jsx", "java", "kt", "go",
            "rb", "php", "pl", "sh", "bash", "zsh", "fish", "lua", "hs", "ml", "scala", "swift", "cs", "r",
            "jl", "sql", "css", "scss", "vue", "el", "lisp", "clj", "ex", "exs", "erl", "zig", "nim", "dart",
            "asm", "s", "vim", "ps1", "bat", "cmake", "mk", "ipynb", "nix", "awk",
        ],
    ),
    (
        "data",
        &[
            "csv", "tsv", "json", "jsonl", "ndjson", "xml", "yaml", "yml", "toml", "ini", "conf", "cfg",
            "parquet", "db", "sqlite", "sqlite3", "duckdb", "gpx", "kml", "geojson", "fit", "tcx", "log",
            "dat", "bin", "plist", "opml", "bib", "ris", "canvas", "base", "kdbx", "gpg", "asc", "pem",
            "key", "crt",
        ],
    ),
];

/// The kind of a file of this name.
pub(super) fn kind(name: &str, is: Kind) -> &'static str {
    match is {
        Kind::File => {}
        Kind::Folder => return "folder",
        Kind::Link => return "link",
        Kind::Special => return "special",
    }
    match Format::of(name.as_bytes()) {
        Some(Format::Markdown | Format::Text) => return "note",
        Some(Format::TodoTxt) => return "tasks",
        Some(Format::VCard) => return "contacts",
        Some(Format::Calendar) => return "calendar",
        None => {}
    }
    let Some(extension) = extension(name) else {
        return "other";
    };
    let known = KINDS.iter().find(|(_, all)| all.contains(&&*extension));
    known.map_or("other", |(kind, _)| kind)
}
