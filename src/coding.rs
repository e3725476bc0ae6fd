//! Content codings: from the bytes of a file to their compressed form.
//!
//! Owns the encoders, their levels, and which media types are worth compressing. It opens no file
//! and decides nothing about a response: [`crate::http::negotiate`] chooses the coding.
//!
//! # Levels
//!
//! Measured with `examples/levels.rs` on 4.4 MB of HTML, JavaScript, CSS, JSON and SVG from the
//! documentation of Rust, in pushes of [`SLICE_BYTES`], without link-time optimisation. Throughput
//! and the longest call are CPU time. For zstd 6 and 9, brotli 4 and gzip 6, the longest
//! call is also that over random bytes, base64, numbers and repetitive text. Random text of four
//! letters is harder for gzip 6: 2.0 ms.
//!
//! | coding | level | block | size | MB/s | longest call | use |
//! |---|---|---|---|---|---|---|
//! | zstd | 3 | 32 KiB | 21.2 % | 320 | 0.3 ms | |
//! | zstd | 6 | 32 KiB | 19.4 % | 126 | 0.5 ms | in slices |
//! | zstd | 6 | | 19.4 % | 130 | 1.9 ms | |
//! | zstd | 9 | 32 KiB | 19.0 % | 82 | 0.8 ms | |
//! | zstd | 19 | | 17.9 % | 3 | 50 ms | best |
//! | zstd | 22 | | 17.9 % | 2 | 100 ms | |
//! | br | 4 | 32 KiB | 19.8 % | 90 | 1.7 ms | in slices |
//! | br | 4 | | 19.8 % | 91 | 4.6 ms | |
//! | br | 5 | 32 KiB | 18.4 % | 7 | 11 ms | |
//! | br | 11 | | 16.0 % | 1 | 330 ms | best |
//! | gzip | 4 | | 20.0 % | 155 | 0.3 ms | |
//! | gzip | 6 | | 19.5 % | 102 | 0.5 ms | in slices |
//! | gzip | 7 | | 19.3 % | 75 | 0.6 ms | |
//! | gzip | 9 | | 19.2 % | 30 | 2.2 ms | best |
//!
//! In slices, each coding has the last level before its cost rises faster than its gain; brotli 5
//! takes twelve times the time of 4, and its blocks take longer than a slice may. Blocks of 32 KiB
//! bound a call and cost nearly nothing. Ahead of time the output counts: zstd stops at 19, because
//! higher levels save nothing in a window that browsers accept.

use std::io::{self, Write};

use crate::http::negotiate::Coding;

/// The most bytes for one [`Encoder::push`] with [`Effort::in_slices`].
pub const SLICE_BYTES: usize = 16 * 1024;

/// How hard an encoder works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// The level of the coding: zstd 1 to 22, brotli 0 to 11, gzip 0 to 9.
    pub level: u8,
    /// Bytes of input after which a block ends, which bounds the work of a push. `None`: the
    /// encoder decides, and compresses a little better.
    pub block_bytes: Option<usize>,
}

impl Effort {
    /// For compression between requests: no push of [`SLICE_BYTES`] took more than 2 ms of CPU time
    /// when it was measured; see [Levels](self#levels).
    pub const fn in_slices(coding: Coding) -> Effort {
        match coding {
            Coding::Zstd => Effort { level: 6, block_bytes: Some(32 * 1024) },
            Coding::Br => Effort { level: 4, block_bytes: Some(32 * 1024) },
            Coding::Gzip => Effort { level: 6, block_bytes: None },
        }
    }

    /// For compression ahead of time: the smallest output.
    pub const fn best(coding: Coding) -> Effort {
        let level = match coding {
            Coding::Zstd => 19,
            Coding::Br => 11,
            Coding::Gzip => 9,
        };
        Effort { level, block_bytes: None }
    }
}

/// True if files of this media type tend to become smaller.
///
/// Texts, in every form; program code for WebAssembly; and formats that hold numbers or pixels as
/// they are: fonts (except WOFF, which is compressed), bitmaps, icons, meshes. Not PDF, archives,
/// office documents, images, audio and video, which are compressed inside. Parameters such as a
/// charset do not matter. A file of such a type that does not become smaller is found when it is
/// compressed.
pub fn is_compressible(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || ["+json", "+xml", "+yaml", "+text"].iter().any(|suffix| essence.ends_with(suffix))
        || COMPRESSIBLE.contains(&essence.as_str())
}

/// Types whose names do not show it.
const COMPRESSIBLE: &[&str] = &[
    "application/ecmascript",
    "application/graphql",
    "application/javascript",
    "application/json",
    "application/json5",
    "application/jsonl",
    "application/mbox",
    "application/n-quads",
    "application/n-triples",
    "application/postscript",
    "application/rtf",
    "application/sql",
    "application/toml",
    "application/trig",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/x-ns-proxy-autoconfig",
    "application/x-sh",
    "application/xml",
    "application/xml-dtd",
    "application/yaml",
    "font/collection",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
    "image/x-portable-anymap",
    "image/x-portable-bitmap",
    "image/x-portable-graymap",
    "image/x-portable-pixmap",
    "message/rfc822",
    "model/gltf-binary",
    "model/mtl",
    "model/obj",
    "model/step",
    "model/stl",
    "model/vnd.usda",
    "model/vrml",
];

/// The largest output that is worthwhile for an input of this size, in bytes: 5 % less.
pub const fn worthwhile_bytes(input_bytes: u64) -> u64 {
    input_bytes - input_bytes.div_ceil(20)
}

/// Why there is no output.
#[derive(Debug)]
pub enum EncodeError {
    /// The output would have more bytes than allowed.
    TooLarge,
    /// The encoder failed, such as for lack of memory.
    Failed(io::Error),
}

/// Compresses one file to memory.
///
/// The same input in the same pushes gives the same output, on every machine and at any time.
pub struct Encoder {
    stream: Stream,
    block_bytes: usize,
    /// Bytes of input since the last block ended.
    pending_bytes: usize,
}

enum Stream {
    Zstd(zstd::stream::write::Encoder<'static, Output>),
    Br(Box<brotli::CompressorWriter<Output>>),
    Gzip(flate2::write::GzEncoder<Output>),
}

impl Encoder {
    /// An encoder for `input_bytes` bytes of input. Its output may have `most_bytes` at most.
    ///
    /// # Errors
    /// The encoder has no memory, or the level does not exist.
    pub fn new(
        coding: Coding,
        effort: Effort,
        input_bytes: u64,
        most_bytes: u64,
    ) -> io::Result<Encoder> {
        let output = Output { bytes: Vec::new(), room_bytes: most_bytes, is_too_large: false };
        let level = effort.level;
        let stream = match coding {
            Coding::Zstd => Stream::Zstd(new_zstd(output, level, input_bytes)?),
            Coding::Br => Stream::Br(Box::new(new_br(output, level, input_bytes))),
            Coding::Gzip => Stream::Gzip(new_gzip(output, level)),
        };
        let block_bytes = effort.block_bytes.unwrap_or(usize::MAX);
        Ok(Encoder { stream, block_bytes, pending_bytes: 0 })
    }

    /// Takes the next bytes of the input.
    ///
    /// # Errors
    /// The encoder is of no use then.
    pub fn push(&mut self, input: &[u8]) -> Result<(), EncodeError> {
        self.pending_bytes += input.len();
        let ends_block = self.pending_bytes >= self.block_bytes;
        let writer: &mut dyn Write = match &mut self.stream {
            Stream::Zstd(stream) => stream,
            Stream::Br(stream) => stream,
            Stream::Gzip(stream) => stream,
        };
        writer.write_all(input).map_err(EncodeError::Failed)?;
        if ends_block {
            writer.flush().map_err(EncodeError::Failed)?;
            self.pending_bytes = 0;
        }
        self.output().check()
    }

    /// Takes the output that exists so far out of the encoder, for a caller that does not want to
    /// hold all of it in memory. [`Encoder::finish`] returns the rest.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output().bytes)
    }

    /// Ends the input, and returns the output.
    ///
    /// # Errors
    /// As [`Encoder::push`].
    pub fn finish(self) -> Result<Vec<u8>, EncodeError> {
        let output = match self.stream {
            Stream::Zstd(stream) => stream.finish().map_err(EncodeError::Failed)?,
            Stream::Br(stream) => stream.into_inner(),
            Stream::Gzip(stream) => stream.finish().map_err(EncodeError::Failed)?,
        };
        output.check()?;
        Ok(output.bytes)
    }

    fn output(&mut self) -> &mut Output {
        match &mut self.stream {
            Stream::Zstd(stream) => stream.get_mut(),
            Stream::Br(stream) => stream.get_mut(),
            Stream::Gzip(stream) => stream.get_mut(),
        }
    }
}

/// Collects the output up to a bound, and drops what is beyond it.
struct Output {
    bytes: Vec<u8>,
    room_bytes: u64,
    is_too_large: bool,
}

impl Output {
    fn check(&self) -> Result<(), EncodeError> {
        if self.is_too_large { Err(EncodeError::TooLarge) } else { Ok(()) }
    }
}

impl Write for Output {
    /// Never fails: not all encoders report an error of the last write.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.room_bytes.checked_sub(bytes.len() as u64) {
            Some(room_bytes) => {
                self.room_bytes = room_bytes;
                self.bytes.extend_from_slice(bytes);
            }
            None => self.is_too_large = true,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn new_zstd(
    output: Output,
    level: u8,
    input_bytes: u64,
) -> io::Result<zstd::stream::write::Encoder<'static, Output>> {
    let mut encoder = zstd::stream::write::Encoder::new(output, i32::from(level))?;
    encoder.set_pledged_src_size(Some(input_bytes))?;
    if level > 19 && input_bytes > 1 << ZSTD_WINDOW_LOG {
        encoder.window_log(ZSTD_WINDOW_LOG)?;
    }
    Ok(encoder)
}

/// RFC 9659 section 3: a decoder of the content coding may refuse a window of more than 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

fn new_br(output: Output, level: u8, input_bytes: u64) -> brotli::CompressorWriter<Output> {
    // The smallest window that holds the input: its memory is cleared at the start.
    let window_log = (BR_WINDOW_LOGS.0..BR_WINDOW_LOGS.1)
        .find(|log| input_bytes <= (1 << log) - 16)
        .unwrap_or(BR_WINDOW_LOGS.1);
    let params = brotli::enc::BrotliEncoderParams {
        quality: i32::from(level),
        lgwin: window_log,
        size_hint: usize::try_from(input_bytes).unwrap_or(usize::MAX),
        ..Default::default()
    };
    brotli::CompressorWriter::with_params(output, BR_BUFFER_BYTES, &params)
}

const BR_WINDOW_LOGS: (i32, i32) = (16, 24);

/// Output is copied in pieces of this size.
const BR_BUFFER_BYTES: usize = 16 * 1024;

fn new_gzip(output: Output, level: u8) -> flate2::write::GzEncoder<Output> {
    flate2::GzBuilder::new()
        .mtime(0)
        .operating_system(GZIP_UNKNOWN_SYSTEM)
        .write(output, flate2::Compression::new(u32::from(level)))
}

/// RFC 1952 section 2.3.1: the file system is unknown, so that the output is the same on all.
const GZIP_UNKNOWN_SYSTEM: u8 = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn decode(coding: Coding, mut bytes: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::new();
        match coding {
            Coding::Zstd => zstd::stream::copy_decode(bytes, &mut decoded).unwrap(),
            Coding::Br => brotli::BrotliDecompress(&mut bytes, &mut decoded).unwrap(),
            Coding::Gzip => {
                flate2::read::GzDecoder::new(bytes).read_to_end(&mut decoded).unwrap();
            }
        }
        decoded
    }

    fn encode(coding: Coding, effort: Effort, input: &[u8], most: u64) -> Option<Vec<u8>> {
        let mut encoder = Encoder::new(coding, effort, input.len() as u64, most).unwrap();
        let mut output = Vec::new();
        let failed = |error| match error {
            EncodeError::TooLarge => None::<()>,
            EncodeError::Failed(error) => panic!("{error}"),
        };
        for slice in input.chunks(SLICE_BYTES) {
            if let Err(error) = encoder.push(slice) {
                failed(error)?;
            }
            output.extend(encoder.take());
        }
        match encoder.finish() {
            Ok(rest) => output.extend(rest),
            Err(error) => failed(error)?,
        }
        Some(output)
    }

    fn inputs() -> [Vec<u8>; 5] {
        let lines = (0..20_000).map(|line| format!("line {line}: {}\n", line * line % 977));
        let text = lines.collect::<String>().into_bytes();
        // A linear congruential generator: bytes that do not become smaller.
        let random = std::iter::successors(Some(1_u64), |state| {
            Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1))
        });
        let random = random.map(|state| state.to_be_bytes()[0]).take(100_000).collect();
        let short = text[..100].to_vec();
        [Vec::new(), b"a".to_vec(), short, text, random]
    }

    #[test]
    fn what_is_decoded_is_what_was_encoded() {
        for coding in Coding::ALL {
            for effort in [Effort::in_slices(coding), Effort { block_bytes: None, level: 9 }] {
                for input in inputs() {
                    let output = encode(coding, effort, &input, u64::MAX).unwrap();
                    assert!(decode(coding, &output) == input, "{coding:?} {effort:?}");
                    let again = encode(coding, effort, &input, u64::MAX).unwrap();
                    assert!(again == output, "{coding:?} {effort:?}: not the same again");
                }
            }
        }
    }

    #[test]
    fn output_beyond_the_bound_is_refused_and_output_at_the_bound_is_not() {
        for coding in Coding::ALL {
            let effort = Effort::in_slices(coding);
            for input in inputs() {
                let output = encode(coding, effort, &input, u64::MAX).unwrap();
                let bytes = output.len() as u64;
                assert_eq!(encode(coding, effort, &input, bytes), Some(output));
                assert_eq!(encode(coding, effort, &input, bytes - 1), None, "{coding:?}");
            }
        }
    }

    #[test]
    fn gzip_names_neither_a_time_nor_a_system() {
        let output =
            encode(Coding::Gzip, Effort::in_slices(Coding::Gzip), b"text", u64::MAX).unwrap();
        assert_eq!(output[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
        assert_eq!(output[9], GZIP_UNKNOWN_SYSTEM);
    }

    #[test]
    fn five_percent_must_be_saved() {
        for (input, most) in [(0, 0), (1, 0), (19, 18), (20, 19), (21, 19), (100, 95), (101, 95)] {
            assert_eq!(worthwhile_bytes(input), most, "{input}");
        }
        assert!(worthwhile_bytes(u64::MAX) < u64::MAX);
    }

    #[test]
    fn texts_and_plain_binary_formats_are_compressible() {
        for (media_type, expected) in [
            ("text/html", true),
            ("text/html; charset=utf-8", true),
            ("Text/CSS", true),
            ("application/json", true),
            ("application/manifest+json", true),
            ("application/atom+xml ; a=b", true),
            ("image/svg+xml", true),
            ("application/wasm", true),
            ("application/xml", true),
            ("font/ttf", true),
            ("image/x-icon", true),
            ("font/woff2", false),
            ("font/woff", false),
            ("image/png", false),
            ("application/gzip", false),
            ("application/octet-stream", false),
            ("application/epub+zip", false),
            ("application/pdf", false),
            ("video/mp2t", false),
            ("", false),
        ] {
            assert_eq!(is_compressible(media_type), expected, "{media_type}");
        }
    }
}
