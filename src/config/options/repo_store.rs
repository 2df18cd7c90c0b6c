//! Options of object stores and SFTP, `repoN-s3-…` and so on.
//!
//! A table, nothing else; names, ranges and defaults are pgBackRest 2.60's.

use super::commands::{GIB, MIB, REPO_USERS};
use super::define::Kind::{Choice, Flag, Integer, List, Pairs, Path, Size, Text};
use super::define::{Need, OptionDef, global};

/// The rows of this table.
pub(super) const OPTIONS: &[OptionDef] = &[
    global("repo-storage-verify-tls", Flag, "y", REPO_USERS, "verify the certificate of the store")
        .needs(&[Need::on("repo-type", &["azure", "gcs", "s3"])])
        .repo()
        .old(&["repo-s3-verify-ssl", "repo?-azure-verify-tls", "repo?-s3-verify-ssl", "repo?-s3-verify-tls"]),
    global("repo-storage-ca-file", Text, "", REPO_USERS, "certificate authority of the store")
        .needs(&[Need::on("repo-type", &["azure", "gcs", "s3"])])
        .repo()
        .old(&["repo-s3-ca-file", "repo?-azure-ca-file", "repo?-s3-ca-file"]),
    global("repo-storage-ca-path", Path, "", REPO_USERS, "folder of certificate authorities of the store")
        .needs(&[Need::on("repo-type", &["azure", "gcs", "s3"])])
        .repo()
        .old(&["repo-s3-ca-path", "repo?-azure-ca-path", "repo?-s3-ca-path"]),
    global("repo-storage-host", Text, "", REPO_USERS, "host to connect to instead of the store's endpoint")
        .needs(&[Need::on("repo-type", &["azure", "s3"])])
        .repo()
        .old(&["repo-s3-host", "repo?-azure-host", "repo?-s3-host"]),
    global("repo-storage-port", Integer(1, 65_535), "443", REPO_USERS, "port of the store")
        .needs(&[Need::on("repo-type", &["azure", "s3"])])
        .repo()
        .old(&["repo?-azure-port", "repo?-s3-port"]),
    global("repo-storage-tag", Pairs, "", REPO_USERS, "a tag for new objects, as key=value")
        .needs(&[Need::on("repo-type", &["azure", "gcs", "s3"])])
        .repo(),
    global(
        "repo-storage-prefetch",
        Integer(0, 1024),
        "3",
        REPO_USERS,
        "how many parts of an object are read ahead",
    )
    .needs(&[Need::on("repo-type", &["azure", "gcs", "s3"])])
    .repo(),
    global(
        "repo-storage-read-over",
        Size(0, MIB),
        "64KiB",
        REPO_USERS,
        "gap between two reads up to which they are joined",
    )
    .needs(&[Need::on("repo-type", &["azure", "gcs", "s3"])])
    .repo(),
    global(
        "repo-storage-upload-chunk-size",
        Size(4 * MIB, GIB),
        "",
        REPO_USERS,
        "size of the parts of an upload",
    )
    .needs(&[Need::on("repo-type", &["azure", "gcs", "s3"])])
    .repo(),
    global("repo-azure-account", Text, "", REPO_USERS, "Azure account")
        .needs(&[Need::on("repo-type", &["azure"])])
        .secret()
        .repo()
        .required(),
    global("repo-azure-container", Text, "", REPO_USERS, "Azure container")
        .needs(&[Need::on("repo-type", &["azure"])])
        .repo()
        .required(),
    global("repo-azure-endpoint", Text, "blob.core.windows.net", REPO_USERS, "Azure endpoint")
        .needs(&[Need::on("repo-type", &["azure"])])
        .secret()
        .repo(),
    global("repo-azure-key", Text, "", REPO_USERS, "Azure shared key or access signature")
        .needs(&[Need::on("repo-azure-key-type", &["shared", "sas"])])
        .secret()
        .repo(),
    global(
        "repo-azure-key-type",
        Choice(&["shared", "sas", "auto"]),
        "shared",
        REPO_USERS,
        "how Azure credentials are had",
    )
    .needs(&[Need::on("repo-type", &["azure"])])
    .repo(),
    global(
        "repo-azure-uri-style",
        Choice(&["host", "path"]),
        "host",
        REPO_USERS,
        "account in the host name or in the path",
    )
    .needs(&[Need::on("repo-type", &["azure"])])
    .repo(),
    global("repo-gcs-bucket", Text, "", REPO_USERS, "Google Cloud Storage bucket")
        .needs(&[Need::on("repo-gcs-key-type", &[])])
        .repo()
        .required(),
    global("repo-gcs-endpoint", Text, "storage.googleapis.com", REPO_USERS, "Google Cloud Storage endpoint")
        .needs(&[Need::on("repo-gcs-key-type", &[])])
        .repo(),
    global(
        "repo-gcs-key-type",
        Choice(&["service", "token", "auto"]),
        "service",
        REPO_USERS,
        "how Google credentials are had",
    )
    .needs(&[Need::on("repo-type", &["gcs"])])
    .repo(),
    global("repo-gcs-key", Text, "", REPO_USERS, "Google token, or file of the service key")
        .needs(&[Need::on("repo-gcs-key-type", &["service", "token"])])
        .secret()
        .repo()
        .required(),
    global("repo-gcs-user-project", Text, "", REPO_USERS, "Google project that is billed").repo(),
    global("repo-s3-bucket", Text, "", REPO_USERS, "S3 bucket")
        .needs(&[Need::on("repo-type", &["s3"])])
        .repo()
        .required()
        .old(&["repo-s3-bucket"]),
    global("repo-s3-endpoint", Text, "", REPO_USERS, "S3 endpoint")
        .needs(&[Need::on("repo-type", &["s3"])])
        .repo()
        .required()
        .old(&["repo-s3-endpoint"]),
    global(
        "repo-s3-key-type",
        Choice(&["shared", "auto", "web-id", "pod-id", "process"]),
        "shared",
        REPO_USERS,
        "how S3 credentials are had",
    )
    .needs(&[Need::on("repo-type", &["s3"])])
    .repo(),
    global("repo-s3-key", Text, "", REPO_USERS, "S3 access key")
        .needs(&[Need::on("repo-s3-key-type", &["shared"])])
        .secret()
        .repo()
        .required()
        .old(&["repo-s3-key"]),
    global("repo-s3-key-secret", Text, "", REPO_USERS, "S3 secret access key")
        .needs(&[Need::on("repo-s3-key-type", &["shared"])])
        .secret()
        .repo()
        .required()
        .old(&["repo-s3-key-secret"]),
    global("repo-s3-kms-key-id", Text, "", REPO_USERS, "key of the key management service")
        .needs(&[Need::on("repo-type", &["s3"])])
        .repo(),
    global("repo-s3-sse-customer-key", Text, "", REPO_USERS, "customer key for encryption by the store")
        .needs(&[Need::on("repo-type", &["s3"])])
        .secret()
        .repo(),
    global("repo-s3-region", Text, "", REPO_USERS, "S3 region")
        .needs(&[Need::on("repo-type", &["s3"])])
        .repo()
        .required()
        .old(&["repo-s3-region"]),
    global("repo-s3-role", Text, "", REPO_USERS, "role that gives the credentials")
        .needs(&[Need::on("repo-s3-key-type", &["auto"])])
        .repo(),
    global("repo-s3-process-cmd", List, "", REPO_USERS, "command that prints the credentials")
        .needs(&[Need::on("repo-s3-key-type", &["process"])])
        .repo()
        .required(),
    global("repo-s3-token", Text, "", REPO_USERS, "S3 session token")
        .needs(&[Need::on("repo-s3-key-type", &["shared"])])
        .secret()
        .repo(),
    global("repo-s3-requester-pays", Flag, "n", REPO_USERS, "the requester pays for transfers")
        .needs(&[Need::on("repo-type", &["s3"])])
        .repo(),
    global("repo-s3-service", Text, "s3", REPO_USERS, "service name in the signature")
        .needs(&[Need::on("repo-type", &["s3"])])
        .repo(),
    global("repo-s3-sts-host", Text, "sts.amazonaws.com", REPO_USERS, "host of the security token service")
        .needs(&[Need::on("repo-s3-key-type", &["web-id"])])
        .repo(),
    global(
        "repo-s3-uri-style",
        Choice(&["host", "path"]),
        "host",
        REPO_USERS,
        "bucket in the host name or in the path",
    )
    .needs(&[Need::on("repo-type", &["s3"])])
    .repo(),
    global("repo-sftp-host", Text, "", REPO_USERS, "SFTP host")
        .needs(&[Need::on("repo-type", &["sftp"])])
        .repo()
        .required(),
    global("repo-sftp-host-fingerprint", Text, "", REPO_USERS, "fingerprint of the SFTP host's key")
        .needs(&[Need::on("repo-sftp-host-key-check-type", &["fingerprint", "strict"])])
        .repo(),
    global(
        "repo-sftp-host-key-check-type",
        Choice(&["accept-new", "fingerprint", "none", "strict"]),
        "strict",
        REPO_USERS,
        "how the SFTP host's key is checked",
    )
    .needs(&[Need::on("repo-type", &["sftp"])])
    .repo(),
    global(
        "repo-sftp-host-key-hash-type",
        Choice(&["md5", "sha1", "sha256"]),
        "",
        REPO_USERS,
        "hash of the fingerprint",
    )
    .needs(&[Need::on("repo-type", &["sftp"])])
    .repo()
    .required(),
    global("repo-sftp-host-port", Integer(1, 65_535), "22", REPO_USERS, "port of the SFTP host")
        .needs(&[Need::on("repo-type", &["sftp"])])
        .repo(),
    global("repo-sftp-host-user", Text, "", REPO_USERS, "user on the SFTP host")
        .needs(&[Need::on("repo-type", &["sftp"])])
        .repo()
        .required(),
    global("repo-sftp-known-host", List, "", REPO_USERS, "known hosts file")
        .needs(&[Need::on("repo-sftp-host-key-check-type", &["accept-new", "strict"])])
        .repo(),
    global("repo-sftp-private-key-file", Text, "", REPO_USERS, "private key for the SFTP host")
        .needs(&[Need::on("repo-type", &["sftp"])])
        .repo()
        .required(),
    global("repo-sftp-private-key-passphrase", Text, "", REPO_USERS, "passphrase of that private key")
        .needs(&[Need::on("repo-type", &["sftp"])])
        .secret()
        .repo(),
    global("repo-sftp-public-key-file", Text, "", REPO_USERS, "public key for the SFTP host")
        .needs(&[Need::on("repo-type", &["sftp"])])
        .repo(),
];
