//! The mechanisms, what each is good for, and which one is taken of those that a server offers.
//!
//! The server's order does not matter: who can listen in or stand in between could change it.

/// A digest that SCRAM is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// RFC 5802.
    Sha1,
    /// RFC 7677.
    Sha256,
}

/// A mechanism of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// With a digest; whether it is bound to the TLS session below it (`-PLUS`).
    Scram(Hash, bool),
    /// RFC 2195.
    CramMd5,
    /// RFC 4616.
    Plain,
    /// The older form of the same, which was never more than a draft.
    Login,
    /// A token in place of the password (RFC 7628).
    OAuthBearer,
    /// The same before it was a standard.
    XOAuth2,
    /// RFC 4505.
    Anonymous,
}

/// All of them, the best first. Tokens come after passwords: what is offered does not tell which of the two the
/// password is, and a filter of mechanisms can.
const BEST_FIRST: [Mechanism; 10] = [
    Mechanism::Scram(Hash::Sha256, true),
    Mechanism::Scram(Hash::Sha1, true),
    Mechanism::Scram(Hash::Sha256, false),
    Mechanism::Scram(Hash::Sha1, false),
    Mechanism::CramMd5,
    Mechanism::Plain,
    Mechanism::Login,
    Mechanism::OAuthBearer,
    Mechanism::XOAuth2,
    Mechanism::Anonymous,
];

/// What a mechanism has to be or must not be (smtp_sasl_security_options).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands(u8);

/// A word that is no demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDemand(pub String);

impl Demands {
    /// Nobody who listens learns the password.
    const NO_PLAINTEXT: u8 = 1;
    /// Who logs in has a name.
    const NO_ANONYMOUS: u8 = 2;
    /// Nobody in between can log in.
    const NO_ACTIVE: u8 = 4;
    /// What is heard is of no use for trying passwords.
    const NO_DICTIONARY: u8 = 8;
    /// The server proves itself too.
    const MUTUAL: u8 = 16;
    /// A secret that is known later breaks no session of before.
    const FORWARD_SECRECY: u8 = 32;

    /// Reads the words of a parameter.
    ///
    /// # Errors
    /// The first word that means nothing.
    pub fn of_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownDemand> {
        let mut demands = 0;
        for word in words {
            demands |= match word {
                "noplaintext" => Self::NO_PLAINTEXT,
                "noanonymous" => Self::NO_ANONYMOUS,
                "noactive" => Self::NO_ACTIVE,
                "nodictionary" => Self::NO_DICTIONARY,
                "mutual_auth" => Self::MUTUAL,
                "forward_secrecy" => Self::FORWARD_SECRECY,
                _ => return Err(UnknownDemand(word.to_owned())),
            };
        }
        Ok(Self(demands))
    }

    fn are_met_by(self, mechanism: Mechanism) -> bool {
        self.0 & !mechanism.properties() == 0
    }
}

impl Mechanism {
    /// The best of those that a server offers, in upper case, and that meet the demands. `binds` says whether there is
    /// a TLS session to bind to.
    pub fn choose(offered: &[impl AsRef<str>], demands: Demands, binds: bool) -> Option<Self> {
        let fits = |mechanism: &Self| {
            (binds || !matches!(mechanism, Self::Scram(_, true)))
                && demands.are_met_by(*mechanism)
                && offered.iter().any(|name| name.as_ref() == mechanism.name())
        };
        BEST_FIRST.into_iter().find(fits)
    }

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scram(Hash::Sha1, false) => "SCRAM-SHA-1",
            Self::Scram(Hash::Sha1, true) => "SCRAM-SHA-1-PLUS",
            Self::Scram(Hash::Sha256, false) => "SCRAM-SHA-256",
            Self::Scram(Hash::Sha256, true) => "SCRAM-SHA-256-PLUS",
            Self::CramMd5 => "CRAM-MD5",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::Anonymous => "ANONYMOUS",
        }
    }

    /// The demands that it meets, as the Cyrus library has them.
    fn properties(self) -> u8 {
        match self {
            Self::Scram(..) => Demands::NO_PLAINTEXT | Demands::NO_ANONYMOUS | Demands::NO_ACTIVE | Demands::MUTUAL,
            Self::CramMd5 => Demands::NO_PLAINTEXT | Demands::NO_ANONYMOUS,
            Self::Plain | Self::Login | Self::OAuthBearer | Self::XOAuth2 => Demands::NO_ANONYMOUS,
            Self::Anonymous => Demands::NO_PLAINTEXT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(offered: &str, demands: &str, binds: bool) -> Option<&'static str> {
        let offered: Vec<&str> = offered.split(' ').collect();
        let demands = Demands::of_words(demands.split_whitespace()).unwrap();
        Mechanism::choose(&offered, demands, binds).map(Mechanism::name)
    }

    #[test]
    fn the_strongest_mechanism_is_taken_whatever_the_order_of_the_offer() {
        let all = "LOGIN PLAIN ANONYMOUS XOAUTH2 CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-1-PLUS";
        assert_eq!(chosen(all, "noanonymous", false), Some("SCRAM-SHA-256"));
        assert_eq!(chosen(all, "noanonymous", true), Some("SCRAM-SHA-1-PLUS"));
        assert_eq!(chosen("GSSAPI EXTERNAL DIGEST-MD5 LOGIN PLAIN", "noanonymous", false), Some("PLAIN"));
        assert_eq!(chosen("PLAIN LOGIN CRAM-MD5", "noplaintext", false), Some("CRAM-MD5"));
        assert_eq!(chosen("XOAUTH2 LOGIN", "", false), Some("LOGIN"));
        assert_eq!(chosen("XOAUTH2 OAUTHBEARER", "noanonymous", false), Some("OAUTHBEARER"));
        assert_eq!(chosen("ANONYMOUS", "", false), Some("ANONYMOUS"));
        assert_eq!(chosen("", "", false), None);
    }

    #[test]
    fn demands_leave_what_meets_all_of_them() {
        let all = "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER ANONYMOUS";
        for (demands, expected) in [
            ("noactive", Some("SCRAM-SHA-256")),
            ("mutual_auth noplaintext", Some("SCRAM-SHA-256")),
            ("nodictionary", None),
            ("forward_secrecy", None),
        ] {
            assert_eq!(chosen(all, demands, false), expected, "{demands}");
        }
        let older = "PLAIN LOGIN CRAM-MD5";
        for demand in ["noactive", "nodictionary", "mutual_auth", "forward_secrecy"] {
            assert_eq!(chosen(older, demand, false), None, "{demand}");
        }
        assert_eq!(chosen("PLAIN LOGIN XOAUTH2 OAUTHBEARER", "noplaintext", false), None);
        assert_eq!(chosen("ANONYMOUS", "noanonymous", false), None);
        assert_eq!(Demands::of_words(["noplaintext", "foo"]), Err(UnknownDemand("foo".to_owned())));
    }
}
