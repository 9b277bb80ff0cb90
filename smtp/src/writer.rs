//! The content as it leaves: in the form that the server takes, its lines not too long, its dots doubled.

use delivery::Request;
use message::seven_bit::{Converter, Unreadable};
use queue::Encoding;
use smtp_protocol::{Extensions, Stuffer};

use crate::settings::Settings;

/// Writes one message.
pub struct Writer {
    /// For a server that takes no 8-bit content.
    converter: Option<Converter>,
    stuffer: Stuffer,
}

impl Writer {
    /// For a server with these extensions.
    pub fn new(settings: &Settings, request: &Request, extensions: &Extensions) -> Self {
        // disable_mime_output_conversion; RFC 6152 3. Who said 7BIT gave his word.
        let convert =
            settings.dialogue.convert && !extensions.eight_bit_mime && request.message.encoding != Encoding::SevenBit;
        Self {
            converter: convert.then(|| Converter::new(settings.dialogue.mime_nesting_limit)),
            stuffer: Stuffer::new(settings.dialogue.line_limit),
        }
    }

    /// Appends a line, or a piece of one.
    ///
    /// # Errors
    /// The message cannot be converted.
    pub fn text(&mut self, data: &[u8], ends: bool, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let stuffer = &mut self.stuffer;
        match &mut self.converter {
            None => stuffer.text(data, ends, out),
            Some(converter) => converter.text(data, ends, &mut |data: &[u8], ends| stuffer.text(data, ends, out))?,
        }
        Ok(())
    }

    /// Appends what is still to come, and the end of data.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let stuffer = &mut self.stuffer;
        if let Some(converter) = &mut self.converter {
            converter.end(&mut |data: &[u8], ends| stuffer.text(data, ends, out))?;
        }
        stuffer.end(out);
        Ok(())
    }

    /// A line was too long.
    pub fn broke_lines(&self) -> bool {
        self.stuffer.broke_lines()
    }
}
