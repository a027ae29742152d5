//! Why auth says no.

/// A refusal in matters of auth. The texts are etcd's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthRefusal {
    #[error("root user does not exist")]
    NoRootUser,
    #[error("root user does not have root role")]
    NoRootRole,
    #[error("user name already exists")]
    UserExists,
    #[error("user name is empty")]
    UserEmpty,
    #[error("user name not found")]
    UserNotFound,
    #[error("role name already exists")]
    RoleExists,
    #[error("role name not found")]
    RoleNotFound,
    #[error("role name is empty")]
    RoleEmpty,
    #[error("authentication failed, invalid user ID or password")]
    Failed,
    #[error("permission not given")]
    PermissionNotGiven,
    #[error("permission denied")]
    Denied,
    #[error("role is not granted to the user")]
    RoleNotGranted,
    #[error("permission is not granted to the role")]
    PermissionNotGranted,
    #[error("authentication is not enabled")]
    NotEnabled,
    #[error("invalid auth token")]
    InvalidToken,
    #[error("invalid auth management")]
    InvalidManagement,
    #[error("revision of auth store is old")]
    OldRevision,
    #[error("authentication failed, password was given for no password user")]
    Passwordless,
}

/// In the order of their numbers between members, which are for ever.
const ALL: [AuthRefusal; 18] = [
    AuthRefusal::NoRootUser,
    AuthRefusal::NoRootRole,
    AuthRefusal::UserExists,
    AuthRefusal::UserEmpty,
    AuthRefusal::UserNotFound,
    AuthRefusal::RoleExists,
    AuthRefusal::RoleNotFound,
    AuthRefusal::RoleEmpty,
    AuthRefusal::Failed,
    AuthRefusal::PermissionNotGiven,
    AuthRefusal::Denied,
    AuthRefusal::RoleNotGranted,
    AuthRefusal::PermissionNotGranted,
    AuthRefusal::NotEnabled,
    AuthRefusal::InvalidToken,
    AuthRefusal::InvalidManagement,
    AuthRefusal::OldRevision,
    AuthRefusal::Passwordless,
];

impl AuthRefusal {
    /// Its number between members.
    pub fn number(self) -> u8 {
        ALL.iter().position(|one| *one == self).map_or(u8::MAX, |at| at as u8)
    }

    pub fn of_number(number: u8) -> Option<Self> {
        ALL.get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, AuthRefusal};

    #[test]
    fn every_refusal_comes_back_by_its_number() {
        for refusal in ALL {
            assert_eq!(AuthRefusal::of_number(refusal.number()), Some(refusal));
        }
        assert_eq!(AuthRefusal::of_number(ALL.len() as u8), None);
    }
}
