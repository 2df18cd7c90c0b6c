//! What the lab's application writes: accounts, a ledger, orders; each transaction a function of its number.
//!
//! Transaction `2k` moves an amount from one account to another, `2k + 1` moves it back: balances stay bounded
//! however long the lab runs. Since content follows from the number, the truth about a database is one number.

use sha2::{Digest as _, Sha256};

/// The application's database.
pub const DATABASE: &str = "shop";
/// A second database that the workload does not write to.
pub const SECOND_DATABASE: &str = "crm";
/// The application's role; connects by TCP with a password.
pub const ROLE: &str = "shop";
/// Number of accounts.
pub const ACCOUNTS: u32 = 200;
/// What each account starts with.
pub const OPENING_BALANCE: i64 = 10_000;
/// Orders that exist before the first transaction; transaction `n` adds order `OLD_ORDERS + n`.
pub const OLD_ORDERS: u64 = 20_000;
/// Rows of the second database's table.
pub const CUSTOMERS: u32 = 500;

/// One transaction's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number of the transaction, from 1; the ledger's primary key.
    pub id: u64,
    /// Account that pays.
    pub payer: u32,
    /// Account that is paid.
    pub payee: u32,
    /// Amount moved.
    pub amount: i64,
    /// Text without meaning, so that rows differ.
    pub note: String,
}

impl Entry {
    /// The content of transaction `id`.
    pub fn of(id: u64) -> Self {
        let pair = mix(id / 2);
        let accounts = u64::from(ACCOUNTS);
        let first = small(pair % accounts);
        let second = (first + 1 + small((pair >> 16) % (accounts - 1))) % ACCOUNTS;
        let amount = 1 + i64::from(small((pair >> 40) % 500));
        let (from, to) = if id.is_multiple_of(2) { (first, second) } else { (second, first) };
        let note = format!("{:016x}{:016x}{:016x}", mix(id), mix(id ^ 0x5555), mix(id ^ 0xAAAA));
        Self { id, payer: from + 1, payee: to + 1, amount, note }
    }

    /// The transaction as one query string; its last result row is the transaction's id.
    pub fn statement(&self) -> String {
        let Self { id, payer, payee, amount, note } = self;
        let order = OLD_ORDERS + id;
        format!(
            "BEGIN;
             INSERT INTO ledger (id, payer, payee, amount, note) VALUES ({id}, {payer}, {payee}, {amount}, '{note}');
             UPDATE accounts SET balance = balance - {amount}, turnover = turnover + {amount} WHERE id = {payer};
             UPDATE accounts SET balance = balance + {amount} WHERE id = {payee};
             INSERT INTO orders (id, item, quantity) VALUES ({order}, '{}', {amount});
             SELECT pg_current_xact_id();
             COMMIT;",
            &note[..8]
        )
    }

    fn digest_line(&self) -> String {
        format!("{}:{}:{}:{}:{}\n", self.id, self.payer, self.payee, self.amount, self.note)
    }
}

/// The statements that make the application's tables in an empty database.
pub fn schema() -> String {
    format!(
        "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL, turnover bigint NOT NULL);
         CREATE TABLE ledger (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
           payer int NOT NULL, payee int NOT NULL, amount bigint NOT NULL, note text NOT NULL);
         CREATE TABLE orders (id bigint PRIMARY KEY, item text NOT NULL, quantity bigint NOT NULL);
         INSERT INTO accounts SELECT n, {OPENING_BALANCE}, 0 FROM generate_series(1, {ACCOUNTS}) n;
         INSERT INTO orders SELECT n, substr(md5(n::text), 1, 8), n % 90 + 1 FROM generate_series(1, {OLD_ORDERS}) n;
         ANALYZE accounts, orders;"
    )
}

/// The statements that fill the second database.
pub fn second_schema() -> String {
    format!(
        "CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
         INSERT INTO customers SELECT n, md5('customer ' || n) FROM generate_series(1, {CUSTOMERS}) n;"
    )
}

/// The application's own check: money is neither made nor lost, and the books agree with each other.
pub fn check_query() -> String {
    let total = i64::from(ACCOUNTS) * OPENING_BALANCE;
    format!(
        "SELECT (extract(epoch FROM now()) * 1000000)::bigint,
           (SELECT sum(balance) FROM accounts) = {total}
           AND (SELECT min(balance) FROM accounts) >= 0
           AND (SELECT coalesce(sum(amount), 0) FROM ledger) = (SELECT sum(turnover) FROM accounts)
           AND (SELECT count(*) FROM ledger) = (SELECT count(*) FROM orders WHERE id > {OLD_ORDERS})"
    )
}

/// The check of the second database.
pub fn second_check_query() -> String {
    format!("SELECT count(*) = {CUSTOMERS} FROM customers")
}

/// SHA-256 over the ledger, computed by the server in the form of [`Expected::ledger_sha256`].
pub const LEDGER_DIGEST_QUERY: &str = "SELECT count(*), coalesce(sum(amount), 0), encode(sha256(convert_to(coalesce(\
    string_agg(id || ':' || payer || ':' || payee || ':' || amount || ':' || note || chr(10), '' ORDER BY id), ''), \
    'UTF8')), 'hex') FROM ledger";

/// SHA-256 over the accounts and the workload's orders, in the form of [`Expected::rest_sha256`].
pub fn rest_digest_query() -> String {
    format!(
        "SELECT encode(sha256(convert_to(
           (SELECT coalesce(string_agg(id || ':' || balance || ':' || turnover || chr(10), '' ORDER BY id), '')
              FROM accounts) ||
           (SELECT coalesce(string_agg(id || ':' || item || ':' || quantity || chr(10), '' ORDER BY id), '')
              FROM orders WHERE id > {OLD_ORDERS}), 'UTF8')), 'hex')"
    )
}

/// What never changes: the orders from before the workload, as count and MD5 of the form the schema made them in.
pub fn old_orders_query() -> String {
    format!(
        "SELECT count(*) = {OLD_ORDERS} AND bool_and(item = substr(md5(id::text), 1, 8) AND quantity = id % 90 + 1)
           FROM orders WHERE id <= {OLD_ORDERS}"
    )
}

/// What the database must hold after exactly the transactions 1 to `rows`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Number of ledger rows.
    pub rows: u64,
    /// Sum of the ledger's amounts.
    pub amount_sum: i64,
    /// SHA-256 over all ledger rows, in hex.
    pub ledger_sha256: String,
    /// SHA-256 over all accounts and the workload's orders, in hex.
    pub rest_sha256: String,
}

impl Expected {
    /// Computes it.
    pub fn after(rows: u64) -> Self {
        let mut accounts = vec![(OPENING_BALANCE, 0_i64); ACCOUNTS as usize + 1];
        let (mut ledger, mut orders, mut amount_sum) = (Sha256::new(), String::new(), 0);
        for entry in (1..=rows).map(Entry::of) {
            ledger.update(entry.digest_line());
            amount_sum += entry.amount;
            orders.push_str(&format_order(&entry));
            if let Some(payer) = accounts.get_mut(entry.payer as usize) {
                *payer = (payer.0 - entry.amount, payer.1 + entry.amount);
            }
            if let Some(payee) = accounts.get_mut(entry.payee as usize) {
                payee.0 += entry.amount;
            }
        }
        let mut rest = Sha256::new();
        for (id, (balance, turnover)) in accounts.iter().enumerate().skip(1) {
            rest.update(format!("{id}:{balance}:{turnover}\n"));
        }
        rest.update(orders);
        Self { rows, amount_sum, ledger_sha256: hex(&ledger.finalize()), rest_sha256: hex(&rest.finalize()) }
    }
}

fn format_order(entry: &Entry) -> String {
    format!("{}:{}:{}\n", OLD_ORDERS + entry.id, &entry.note[..8], entry.amount)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// The finalizer of `SplitMix64`: a fixed scramble of the number.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_transaction_returns_the_money() {
        for id in (2..400).step_by(2) {
            let (there, back) = (Entry::of(id), Entry::of(id + 1));
            assert_eq!((there.payer, there.payee, there.amount), (back.payee, back.payer, back.amount));
            assert!(there.payer != there.payee && (1..=ACCOUNTS).contains(&there.payer));
            assert!((1..=500).contains(&there.amount) && there.note != back.note);
        }
    }

    #[test]
    fn one_row_more_or_less_changes_every_digest() {
        let (a, b) = (Expected::after(10), Expected::after(11));
        assert_eq!((a.rows, b.rows), (10, 11));
        assert!(a.ledger_sha256 != b.ledger_sha256 && a.rest_sha256 != b.rest_sha256);
        assert_eq!(b.amount_sum - a.amount_sum, Entry::of(11).amount);
    }
}
