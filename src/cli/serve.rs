//! `bursar serve`: what it can be told. `app::serve` does it.

use clap::Args;

use super::Global;
use crate::config::{Flags, parse_address};

#[derive(Clone, Debug, Default, Args)]
pub struct Serve {
    /// Folder of policies
    #[arg(long, value_name = "DIR", env = "BURSAR_POLICIES")]
    pub policies: Option<std::path::PathBuf>,
    /// Address of the gateway
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<String>,
    /// Address of the admin API
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub admin: Option<String>,
    /// Serve a vendor of bursar's own as well, to try everything without an account
    #[arg(long)]
    pub sandbox: bool,
}

fn address(text: &str) -> Result<String, String> {
    parse_address(text).map(|_| text.to_owned())
}

/// What `app::serve` is given.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub flags: Flags,
    pub sandbox: bool,
    /// The operator's own admin token (`--token`, `BURSAR_ADMIN_TOKEN`); made at first start if there is none.
    pub admin_token: Option<crate::units::secret::Secret>,
    pub json: bool,
}

impl Options {
    pub fn new(global: Global, serve: Serve) -> Self {
        let flags = Flags {
            config: global.config,
            data: global.data,
            policies: serve.policies,
            listen: serve.listen,
            admin: serve.admin,
        };
        Self { flags, sandbox: serve.sandbox, admin_token: global.token, json: global.json }
    }
}
