//! The instances of this machine, in the order in which they start.

use std::path::{Path, PathBuf};

use config::{Config, param};

use crate::options::Which;

/// A mail system.
pub(crate) struct Instance {
    pub directory: PathBuf,
    pub config: Config,
    /// Empty: none.
    pub name: String,
    /// Empty: none.
    pub group: String,
    pub enabled: bool,
}

/// All of them; the primary one is the first.
pub(crate) struct Instances(Vec<Instance>);

impl Instance {
    fn of(config: Config) -> Result<Self, String> {
        let text = |param| config.get(param).map_err(|error| error.to_string());
        Ok(Instance {
            directory: config.directory().to_path_buf(),
            name: text(param::MULTI_INSTANCE_NAME)?,
            group: text(param::MULTI_INSTANCE_GROUP)?,
            enabled: config.get(param::MULTI_INSTANCE_ENABLE).map_err(|error| error.to_string())?,
            config,
        })
    }

    /// Reads the main.cf of a directory.
    pub(crate) fn read(directory: &Path) -> Result<Self, String> {
        let failed = |error: String| {
            logging::error!("{error}");
            format!("Failed to obtain all required {}/main.cf parameters", directory.display())
        };
        Instance::of(Config::load(directory, &[]).map_err(|error| failed(error.to_string()))?).map_err(failed)
    }

    /// The value of a setting, as text.
    pub(crate) fn value(&self, name: &str) -> Result<String, String> {
        let value = self.config.lookup(name).map_err(|error| error.to_string())?;
        Ok(value.unwrap_or_default())
    }

    /// Whether a name or a directory means this one.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.directory == Path::new(name) || !self.name.is_empty() && self.name == name
    }
}

impl Instances {
    /// The primary one, and those of its multi_instance_directories.
    pub(crate) fn read(primary: Config) -> Result<Self, String> {
        let directories = primary.get(param::MULTI_INSTANCE_DIRECTORIES).map_err(|error| error.to_string())?;
        let mut all = vec![Instance::of(primary)?];
        for directory in directories {
            all.push(Instance::read(Path::new(&directory))?);
        }
        if let [alone] = &mut all[..] {
            // Nothing is said of one that is the only one.
            alone.enabled = true;
        }
        Ok(Instances(all))
    }

    /// The primary one.
    pub(crate) fn primary(&self) -> &Instance {
        // cannot fail: it is there from the beginning
        &self.0[0]
    }

    /// The others.
    pub(crate) fn secondary(&self) -> &[Instance] {
        &self.0[1..]
    }

    /// All.
    pub(crate) fn all(&self) -> &[Instance] {
        &self.0
    }

    /// Those that were chosen.
    pub(crate) fn chosen(&self, which: &Which) -> Vec<&Instance> {
        match which {
            Which::Unsaid | Which::All => self.0.iter().collect(),
            // Nobody is a member of a group without a name.
            Which::Group(group) => self.0.iter().filter(|it| !group.is_empty() && it.group == *group).collect(),
            Which::One(name) => self.named(name).into_iter().collect(),
        }
    }

    /// The one that a name or a directory means; `-` is the primary one.
    pub(crate) fn named(&self, name: &str) -> Option<&Instance> {
        if name == "-" { Some(self.primary()) } else { self.0.iter().find(|it| it.is(name)) }
    }
}
