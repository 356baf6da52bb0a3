//! What can be found in an answer, and how many of each were. Kinds and counts alone: never what it was.

/// A kind of find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// By the form that its issuer gives it.
    Credential,
    /// A signed token (JWT).
    Token,
    PrivateKey,
    /// One of bursar's.
    VaultKey,
    /// A real credential that bursar holds for a vendor.
    Own,
    Card,
    Iban,
    /// A social security number of the United States.
    Ssn,
    Email,
}

impl Find {
    pub const ALL: [Self; 9] = [
        Self::Credential,
        Self::Token,
        Self::PrivateKey,
        Self::VaultKey,
        Self::Own,
        Self::Card,
        Self::Iban,
        Self::Ssn,
        Self::Email,
    ];
    pub const SECRETS: [Self; 5] = [Self::Credential, Self::Token, Self::PrivateKey, Self::VaultKey, Self::Own];
    pub const PERSONAL: [Self; 4] = [Self::Card, Self::Iban, Self::Ssn, Self::Email];

    /// As policies name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Token => "jwt",
            Self::PrivateKey => "private_key",
            Self::VaultKey => "vault_key",
            Self::Own => "own_credential",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Ssn => "ssn",
            Self::Email => "email",
        }
    }
}

/// Some of all kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds([bool; Find::ALL.len()]);

impl Kinds {
    pub fn of(kinds: impl IntoIterator<Item = Find>) -> Self {
        let mut some = Self::default();
        kinds.into_iter().for_each(|kind| some.0[kind as usize] = true);
        some
    }

    pub fn has(self, kind: Find) -> bool {
        self.0[kind as usize]
    }

    /// Data of persons, and no secrets.
    pub fn personal(self) -> bool {
        Find::SECRETS.iter().all(|kind| !self.has(*kind))
    }

    fn iter(self) -> impl Iterator<Item = Find> {
        Find::ALL.into_iter().filter(move |kind| self.has(*kind))
    }
}

/// `card, iban`
impl std::fmt::Display for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.iter().map(Find::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

/// How many of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finds([u64; Find::ALL.len()]);

impl Finds {
    pub(super) fn add(&mut self, kind: Find) {
        let count = &mut self.0[kind as usize];
        *count = count.saturating_add(1);
    }

    /// Of some kinds together.
    pub fn of(&self, kinds: Kinds) -> u64 {
        kinds.iter().map(|kind| self.0[kind as usize]).fold(0, u64::saturating_add)
    }

    /// `2 card, 1 iban`
    pub fn shown(&self, kinds: Kinds) -> String {
        let one = |kind: Find| Some((kind, self.0[kind as usize])).filter(|(_, count)| *count > 0);
        let shown: Vec<String> =
            kinds.iter().filter_map(one).map(|(kind, n)| format!("{n} {}", kind.as_str())).collect();
        shown.join(", ")
    }
}
