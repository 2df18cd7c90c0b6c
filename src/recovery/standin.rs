//! STAND-IN until cluster::server and cluster::sql land.
#![allow(missing_docs)]
use crate::base::Report;
use crate::cluster::process::{command, run_limited};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

#[derive(Debug)]
pub struct Session { runtime: Runtime, client: Client }

#[derive(Debug, Clone)]
pub struct Address { pub host: String, pub port: u16, pub user: String, pub password: Option<crate::base::Secret>, pub database: String }

impl Session {
    pub fn connect(a: &Address) -> Result<Self, Report> {
        let mut config = Config::new();
        config.host(&a.host).port(a.port).user(&a.user).dbname(&a.database);
        if let Some(p) = &a.password { config.password(p.expose()); }
        config.connect_timeout(Duration::from_secs(3)).application_name("pgmayday");
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| Report::failed(e.to_string()))?;
        let client = runtime.block_on(async {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            Ok(client)
        });
        client.map_err(|e: tokio_postgres::Error| Report::failed(text(&e))).map(|client| Self { runtime, client })
    }
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>, Report> {
        let answer = self.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(60), self.client.simple_query(sql)).await
        });
        let answer = answer.map_err(|_| Report::failed("no answer within 60 s"))?;
        let messages = answer.map_err(|e| Report::failed(text(&e)))?;
        let row = |message: SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        };
        Ok(messages.into_iter().filter_map(row).collect())
    }
    pub fn value(&self, sql: &str) -> Result<String, Report> {
        self.rows(sql)?.pop().and_then(|mut r| if r.is_empty() { None } else { Some(r.swap_remove(0)) }).ok_or_else(|| Report::failed("no row"))
    }
}

fn text(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(
        || {
            let source = std::error::Error::source(error).map(|s| format!(": {s}")).unwrap_or_default();
            format!("{error}{source}")
        },
        |db| format!("{} ({})", db.message(), db.code().code()),
    )
}

#[derive(Debug, Clone)]
pub struct Server { pub data_dir: PathBuf, pub bin_dir: PathBuf, pub log: PathBuf }

impl Server {
    pub fn start(&self, settings: &[(String, String)]) -> Result<(), Report> {
        let options: Vec<String> = settings.iter().map(|(n, v)| format!("-c {n}='{}'", v.replace('\'', "'\\''"))).collect();
        let mut c = command(&self.bin_dir.join("pg_ctl"));
        c.arg("-D").arg(&self.data_dir).arg("-l").arg(&self.log).args(["-w", "-t", "60", "-s", "-o"]).arg(options.join(" ")).arg("start");
        let f = run_limited(c, Duration::from_secs(70))?;
        if f.success() { Ok(()) } else {
            let tail = std::fs::read_to_string(&self.log).unwrap_or_default();
            Err(Report::failed(format!("{} {}", f.complaint(), &tail[tail.len().saturating_sub(1500)..]))) }
    }
    pub fn stop(&self) -> Result<(), Report> {
        let mut c = command(&self.bin_dir.join("pg_ctl"));
        c.arg("-D").arg(&self.data_dir).args(["-w", "-t", "60", "-s", "-m", "fast", "stop"]);
        let f = run_limited(c, Duration::from_secs(70))?;
        if f.success() { Ok(()) } else { Err(Report::failed(f.complaint())) }
    }
}
