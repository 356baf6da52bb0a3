//! Values one after the other in MessagePack, as far as the scripts are given any: texts and integers. `cmsgpack.unpack` gives
//! them back as so many values, which costs a script far less than so many arguments. Reads nothing.

#[derive(Default)]
pub struct Packed(Vec<u8>);

impl Packed {
    pub fn text(&mut self, text: &str) -> &mut Self {
        let bytes = text.as_bytes();
        match bytes.len() {
            n @ 0..=31 => self.0.push(0xa0 | n as u8),
            n @ 32..=0xffff => self.tagged(0xda, &(n as u16).to_be_bytes()),
            // No text of ours comes near four gigabytes; one that did would be cut, and so be no JSON and no name.
            n => self.tagged(0xdb, &u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes()),
        }
        self.0.extend_from_slice(&bytes[..bytes.len().min(u32::MAX as usize)]);
        self
    }

    pub fn number(&mut self, n: u64) -> &mut Self {
        match n {
            0..=0x7f => self.0.push(n as u8),
            0x80..=0xffff_ffff => self.tagged(0xce, &(n as u32).to_be_bytes()),
            _ => self.tagged(0xcf, &n.to_be_bytes()),
        }
        self
    }

    pub fn flag(&mut self, flag: bool) -> &mut Self {
        self.number(flag.into())
    }

    /// -1, where a number may be missing.
    pub fn none(&mut self) -> &mut Self {
        self.0.push(0xff);
        self
    }

    pub fn done(self) -> Vec<u8> {
        self.0
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.0.push(tag);
        self.0.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_packed_as_the_format_says() {
        let mut packed = Packed::default();
        packed.text("").text("ab").number(0).number(127).number(128).number(1 << 32).flag(true).none();
        let expected: &[&[u8]] = &[
            &[0xa0],
            &[0xa2, b'a', b'b'],
            &[0],
            &[127],
            &[0xce, 0, 0, 0, 128],
            &[0xcf, 0, 0, 0, 1, 0, 0, 0, 0],
            &[1],
            &[0xff],
        ];
        assert_eq!(packed.done(), expected.concat());
    }

    #[test]
    fn long_texts_say_how_long_they_are() {
        for (length, head) in [(31, &[0xbf][..]), (32, &[0xda, 0, 32]), (0x1_0000, &[0xdb, 0, 1, 0, 0])] {
            let mut packed = Packed::default();
            packed.text(&"x".repeat(length));
            let packed = packed.done();
            assert_eq!((&packed[..head.len()], packed.len()), (head, head.len() + length));
        }
    }
}
