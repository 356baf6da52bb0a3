//! Which file, and what stands above it: flags, then environment, then the file, then the defaults.

use std::path::{Path, PathBuf};

use super::checked::Config;
use super::file::{self, parse_address};
use super::mistake::{Mistake, Mistakes};

/// What `bursar serve` was told.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub config: Option<PathBuf>,
    pub data: Option<PathBuf>,
    pub policies: Option<PathBuf>,
    pub listen: Option<String>,
    pub admin: Option<String>,
}

/// Read if it is there and no other file is named.
const USUAL: &str = "bursar.toml";

/// Reads the file, if there is one, and puts flags and environment on top. Relative paths are relative to the working folder.
pub fn load(flags: &Flags, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Mistakes> {
    let env = |name: &str| env(name).filter(|value| !value.is_empty());
    let mut config = match path(flags, &env) {
        Some(path) => from_file(&path, &env)?,
        None => file::read("defaults", "", &env)?,
    };
    let data = flags.data.clone().or_else(|| env("BURSAR_DATA").map(Into::into));
    config.server.data = data.unwrap_or(config.server.data);
    config.server.policies = flags.policies.clone().unwrap_or(config.server.policies);
    let mut mistakes = Vec::new();
    for (flag, text, place) in
        [("--listen", &flags.listen, &mut config.server.listen), ("--admin", &flags.admin, &mut config.server.admin)]
    {
        match text.as_deref().map(parse_address) {
            Some(Ok(address)) => *place = address,
            Some(Err(why)) => mistakes.push(Mistake::of_file(flag, why)),
            None => {}
        }
    }
    if mistakes.is_empty() { Ok(config) } else { Err(Mistakes(mistakes)) }
}

fn path(flags: &Flags, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let named = flags.config.clone().or_else(|| env("BURSAR_CONFIG").map(Into::into));
    named.or_else(|| Some(PathBuf::from(USUAL)).filter(|path| path.exists()))
}

fn from_file(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Mistakes> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|e| Mistakes(vec![Mistake::of_file(&name, format!("it cannot be read: {e}"))]))?;
    let config = file::read(&name, &text, env)?;
    Ok(Config { file: Some(path.to_owned()), ..config })
}
