//! Mount options, as mount(8) and fstab(5) write them.
//!
//! Guarantees: an option is obeyed, known to mean nothing here, or refused by name; none
//! is dropped silently that would have changed who may do what.

use rustix::mount::MountFlags;

use super::error::OptionError;

/// How to mount. The default is what is asked for with no option at all: for root as
/// mount(8) has it, for everybody else without set-id programs and device nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountOptions {
    /// Nothing can be changed.
    pub read_only: bool,
    /// Others than the user who mounts may enter (as far as permissions allow).
    pub allow_other: bool,
    /// The kernel checks who may do what. It does so in any case with `allow_other`.
    pub default_permissions: bool,
    /// No program is run from it.
    pub noexec: bool,
    /// Set-user-id and set-group-id bits mean nothing.
    pub nosuid: bool,
    /// Device nodes do not work.
    pub nodev: bool,
    /// Reading does not change access times.
    pub noatime: bool,
    /// Every write is durable before it returns.
    pub sync: bool,
    /// Every change of a folder is durable before it returns.
    pub dirsync: bool,
    /// What the tables of mounts show as the source. Everybody can read it there.
    pub fsname: String,
    /// Options for the kernel as they are (SELinux contexts).
    pub extra: Vec<String>,
}

impl Default for MountOptions {
    fn default() -> MountOptions {
        let ordinary = !rustix::process::geteuid().is_root();
        MountOptions {
            read_only: false,
            allow_other: false,
            default_permissions: false,
            noexec: false,
            nosuid: ordinary,
            nodev: ordinary,
            noatime: false,
            sync: false,
            dirsync: false,
            fsname: "coffer".to_owned(),
            extra: Vec::new(),
        }
    }
}

impl MountOptions {
    /// Reads what stands after `-o`: names separated by commas, later ones winning.
    /// Several `-o` are read one after the other.
    ///
    /// # Errors
    /// The first option that is not understood.
    pub fn parse(&mut self, options: &str) -> Result<(), OptionError> {
        options
            .split(',')
            .filter(|option| !option.is_empty())
            .try_for_each(|option| self.one(option))
    }

    fn one(&mut self, option: &str) -> Result<(), OptionError> {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        // For other programs (systemd's x-systemd.…, user space's comment=…): any value.
        if name.starts_with("x-") || name.starts_with("X-") || name == "comment" {
            return Ok(());
        }
        match (name, value) {
            ("fsname", Some(value)) => value.clone_into(&mut self.fsname),
            ("context" | "fscontext" | "defcontext" | "rootcontext", Some(_)) => {
                self.extra.push(option.to_owned());
            }
            ("fsname" | "context" | "fscontext" | "defcontext" | "rootcontext", None) => {
                return Err(OptionError::NoValue {
                    option: name.to_owned(),
                });
            }
            ("user", Some(_)) => {}
            (_, Some(_)) if self.flag(name) => {
                return Err(OptionError::Value {
                    option: name.to_owned(),
                });
            }
            (_, None) if self.flag(name) => {}
            _ => {
                return Err(OptionError::Unknown {
                    option: name.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Obeys an option without a value; false if it is not known.
    fn flag(&mut self, name: &str) -> bool {
        match name {
            "ro" => self.read_only = true,
            "rw" => self.read_only = false,
            "allow_other" => self.allow_other = true,
            "exec" => self.noexec = false,
            "noexec" => self.noexec = true,
            "suid" => self.nosuid = false,
            "nosuid" => self.nosuid = true,
            "dev" => self.nodev = false,
            "nodev" => self.nodev = true,
            "atime" | "relatime" => self.noatime = false,
            "noatime" => self.noatime = true,
            "sync" => self.sync = true,
            "async" => self.sync = false,
            "dirsync" => self.dirsync = true,
            "default_permissions" => self.default_permissions = true,
            // What is so anyway: mount(8)'s defaults.
            "defaults" | "diratime" | "nostrictatime" | "silent" | "loud"
            // For whoever decides when and by whom to mount.
            | "auto" | "noauto" | "user" | "nouser" | "users" | "owner" | "group" | "nofail" | "_netdev" => {}
            _ => return false,
        }
        true
    }

    /// Whether the kernel checks who may do what: wherever others may come.
    pub fn kernel_checks(&self) -> bool {
        self.allow_other || self.default_permissions
    }

    /// For mount(2).
    pub(super) fn flags(&self) -> MountFlags {
        let flags = [
            (self.read_only, MountFlags::RDONLY),
            (self.noexec, MountFlags::NOEXEC),
            (self.nosuid, MountFlags::NOSUID),
            (self.nodev, MountFlags::NODEV),
            (self.noatime, MountFlags::NOATIME),
            (self.sync, MountFlags::SYNCHRONOUS),
            (self.dirsync, MountFlags::DIRSYNC),
        ];
        flags
            .into_iter()
            .filter(|(set, _)| *set)
            .fold(MountFlags::empty(), |all, (_, flag)| all | flag)
    }

    /// The part of mount(2)'s data that does not depend on the descriptor: each option after a comma.
    pub(super) fn data(&self) -> String {
        let flags = [
            (self.kernel_checks(), "default_permissions"),
            (self.allow_other, "allow_other"),
        ];
        let flags = flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| name);
        let all = flags.chain(self.extra.iter().map(String::as_str));
        all.fold(String::new(), |data, option| data + "," + option)
    }

    /// For `fusermount3 -o`.
    pub(super) fn for_helper(&self) -> String {
        let flags = [
            (self.read_only, "ro"),
            (self.noexec, "noexec"),
            (self.nosuid, "nosuid"),
            (self.nodev, "nodev"),
            (self.noatime, "noatime"),
            (self.sync, "sync"),
            (self.dirsync, "dirsync"),
        ];
        let mut options = self.data();
        for (_, name) in flags.into_iter().filter(|(set, _)| *set) {
            options.push(',');
            options.push_str(name);
        }
        // The helper reads a comma or backslash after a backslash as part of the value.
        let source = self.fsname.replace('\\', "\\\\").replace(',', "\\,");
        format!("subtype=coffer,fsname={source}{options}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(options: &str) -> Result<MountOptions, OptionError> {
        let mut parsed = MountOptions {
            nosuid: true,
            nodev: true,
            ..MountOptions::default()
        };
        parsed.parse(options).map(|()| parsed)
    }

    /// Guards what each option does, and that the last one wins.
    #[test]
    fn known_options() {
        let options = parsed("ro,noexec,suid,dev,noatime,allow_other,sync,fsname=/my,rw").unwrap();
        assert!(!options.read_only, "the later rw wins");
        assert!(options.noexec && options.noatime && options.allow_other && options.sync);
        assert!(!options.nosuid && !options.nodev);
        assert_eq!(options.fsname, "/my");
        assert_eq!(
            options.flags(),
            MountFlags::NOEXEC | MountFlags::NOATIME | MountFlags::SYNCHRONOUS
        );
    }

    /// Guards that wherever others may come the kernel checks who may do what, and only there.
    #[test]
    fn the_kernel_checks_where_others_come() {
        for (options, checks) in [
            ("", false),
            ("ro", false),
            ("allow_other", true),
            ("default_permissions", true),
        ] {
            let options = parsed(options).unwrap();
            assert_eq!(options.kernel_checks(), checks);
            assert_eq!(options.data().contains(",default_permissions"), checks);
            assert_eq!(options.for_helper().contains(",default_permissions"), checks);
        }
    }

    /// Guards an fstab line as people write it.
    #[test]
    fn fstab_lines() {
        let plain = parsed("").unwrap();
        let options = "defaults,_netdev,noauto,nofail,user,user=me,x-systemd.automount,x-a=b,comment=c";
        assert_eq!(parsed(options), Ok(plain));
    }

    /// Guards against an option that is silently ignored: `uid=` would look obeyed.
    #[test]
    fn unknown_options_are_named() {
        assert_eq!(
            parsed("ro,uid=1000"),
            Err(OptionError::Unknown { option: "uid".into() })
        );
        assert_eq!(
            parsed("allow_root"),
            Err(OptionError::Unknown {
                option: "allow_root".into()
            })
        );
        assert_eq!(parsed("ro=1"), Err(OptionError::Value { option: "ro".into() }));
        assert_eq!(
            parsed("fsname"),
            Err(OptionError::NoValue {
                option: "fsname".into()
            })
        );
    }

    /// Guards against an option smuggled in by a name: commas stay inside the value.
    #[test]
    fn a_comma_in_the_source_is_no_option() {
        let options = MountOptions {
            fsname: r"a,suid\b".into(),
            ..MountOptions::default()
        };
        let shown = options.for_helper();
        let rest = shown.strip_prefix(r"subtype=coffer,fsname=a\,suid\\b");
        assert!(
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(',')),
            "{shown}"
        );
    }
}
