//! JSON with a member of the outermost object on a line, and an element of its arrays on a line:
//! people can read it and compare two versions, and 100 000 artifacts fit the limit of a manifest.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// `value`, an object, in this form, with a line feed at its end.
pub(super) fn to_vec<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, SignatureLines { depth: 0 }))?;
    out.push(b'\n');
    Ok(out)
}

struct SignatureLines {
    depth: usize,
}

impl SignatureLines {
    fn separate<W: Write + ?Sized>(&self, writer: &mut W, first: bool, broken: usize) -> io::Result<()> {
        let comma: &[u8] = if first { b"" } else { b"," };
        writer.write_all(comma)?;
        if self.depth == broken {
            writer.write_all(b"\n")?;
            (0..broken).try_for_each(|_| writer.write_all(b"  "))
        } else if first {
            Ok(())
        } else {
            writer.write_all(b" ")
        }
    }

    fn begin<W: Write + ?Sized>(&mut self, writer: &mut W, bracket: u8) -> io::Result<()> {
        self.depth += 1;
        writer.write_all(&[bracket])
    }

    fn end<W: Write + ?Sized>(&mut self, writer: &mut W, bracket: u8, broken: usize) -> io::Result<()> {
        if self.depth == broken {
            writer.write_all(b"\n")?;
            (1..broken).try_for_each(|_| writer.write_all(b"  "))?;
        }
        self.depth -= 1;
        writer.write_all(&[bracket])
    }
}

impl Formatter for SignatureLines {
    fn begin_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b'{')
    }

    fn end_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b'}', 1)
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.separate(writer, first, 1)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn begin_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b'[')
    }

    fn end_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b']', 2)
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.separate(writer, first, 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_each() {
        let value = serde_json::json!({ "a": 1, "b": { "c": 2, "d": 3 }, "e": [{ "f": [1, 2] }, { "g": 4 }], "h": [] });
        let text = String::from_utf8(to_vec(&value).unwrap()).unwrap();
        let expected = "{\n  \"a\": 1,\n  \"b\": {\"c\": 2, \"d\": 3},\n  \"e\": [\n    {\"f\": [1, 2]},\n    {\"g\": 4}\n  ],\n  \"h\": [\n  ]\n}\n";
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
