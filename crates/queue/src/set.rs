//! Sets of bits, as the queue file and requests have them. Each kind is a type of its own, so that none is taken for
//! another.

/// Declares a set: a type with constants for what may be in it. The numbers are those of the queue file, or of a
/// protocol.
#[macro_export]
macro_rules! set {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$note:meta])* $element:ident = $bits:expr,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        $vis struct $name(u32);

        impl $name {
            $($(#[$note])* pub const $element: $name = $name($bits);)*

            /// As it was read: what has no name stays in it.
            pub const fn of_bits(bits: u32) -> $name {
                $name(bits)
            }

            /// As it is written.
            pub const fn bits(self) -> u32 {
                self.0
            }

            /// Both sets together.
            pub const fn with(self, more: $name) -> $name {
                $name(self.0 | more.0)
            }

            /// Whether something of the other set is in this one.
            pub const fn has(self, any: $name) -> bool {
                self.0 & any.0 != 0
            }
        }
    };
}
