//! Who may enter the data directory.
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What is wrong with its permissions, where others than its owner may enter:
/// whoever may write there may lay files and links where the host looks for
/// its own. None where it is not there, too: the host makes it with 0700.
pub fn too_open(dir: &Path) -> Option<String> {
    let mode = std::fs::metadata(dir).ok()?.permissions().mode() & 0o777;
    let others = match mode & 0o077 {
        0 => return None,
        bits if bits & 0o022 != 0 => "others may write to it",
        _ => "others may look into it",
    };
    Some(format!("`data_dir` {} has mode {mode:04o}: {others}", dir.display()))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};

    use super::*;

    #[test]
    fn it_is_the_owners_alone_or_told() {
        let folder = tempfile::tempdir().unwrap();
        let told = |mode| {
            set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            too_open(folder.path())
        };
        assert_eq!(told(0o700), None);
        assert!(told(0o750).unwrap().ends_with("has mode 0750: others may look into it"));
        assert!(told(0o1777).unwrap().ends_with("has mode 0777: others may write to it"));
        assert_eq!(too_open(&folder.path().join("missing")), None);
    }
}
