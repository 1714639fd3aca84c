//! Resource bounds of a plugin. A limit needs no grant, is always finite, and may be set by the
//! author within bounds that protect the host.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::plugin_manifest::Kind;
use crate::size::{DurationText, Size};

/// What one call of a plugin may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sum of all memories and tables of an instance, in bytes.
    pub memory_bytes: u64,
    /// Time spent in guest code.
    pub cpu: Duration,
    /// Wall time of a call; waiting for a person does not count.
    pub timeout: Duration,
    /// Size of what a call returns, in bytes.
    pub output_bytes: u64,
    /// Calls of this plugin that run side by side.
    pub concurrent: u32,
    /// Size of a response body where no rule says otherwise, in bytes after decompression.
    pub response_bytes: u64,
    /// Log and progress text of one call, in bytes.
    pub log_bytes: u64,
    /// Random bytes of one call.
    pub random_bytes: u64,
    /// Handles (streams, files, requests) open at one time.
    pub handles: u32,
    /// Text and lists copied from the guest in one host call, in bytes.
    pub argument_bytes: u64,
    /// Calls of the host that one call may make. The processor's time ends a busy loop of cheap
    /// calls long before; this bounds what a slow host function could be made to repeat.
    pub host_calls: u64,
    /// Headers of one HTTP message, in bytes as they are kept in memory.
    pub header_bytes: u64,
    /// Written to files by one call, in bytes; growing a file counts as writing.
    pub file_bytes: u64,
    /// Files, folders and links that one call creates.
    pub files: u64,
    /// Requests to the network within any 60 seconds, over all calls of the plugin; refused ones
    /// count too.
    pub requests_per_minute: u32,
    /// Requests under way at one time, over all calls of the plugin, from the first byte sent to
    /// the last one received.
    pub requests_at_once: u32,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What all calls of a plugin in one session may write together, in calls that each go to their
/// limit: enough for a day of real work, and no disk is filled by a loop of small calls.
pub const SESSION_CALLS: u64 = 16;

impl Default for Limits {
    /// The limits of a tool or notifier.
    fn default() -> Self {
        Self {
            // A Rust guest needs 2 MiB, a Python one with its interpreter 40 to 80.
            memory_bytes: 128 * MIB,
            cpu: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            output_bytes: 256 * 1024,
            concurrent: 4,
            response_bytes: 8 * MIB,
            log_bytes: 256 * 1024,
            random_bytes: MIB,
            handles: 256,
            argument_bytes: 16 * MIB,
            host_calls: 5_000_000,
            header_bytes: 128 * 1024,
            // A call that writes more wants a job. Both stay below what a laptop's disk has left.
            file_bytes: GIB,
            files: 10_000,
            // Ten a second is above what any service in use here allows.
            requests_per_minute: 600,
            requests_at_once: 16,
        }
    }
}

impl Limits {
    /// The limits of a plugin of this kind whose author asks for nothing else.
    pub fn for_kind(kind: Kind) -> Self {
        let mut limits = Self::default();
        if kind == Kind::Provider {
            // A model that reasons can be silent for minutes; services cut off after ten.
            limits.timeout = Duration::from_secs(600);
            // A response carries reasoning and images, which the model does not read back as text.
            limits.output_bytes = 16 * MIB;
            // Eight sub-sessions and a compaction may wait for a model at the same time, each with
            // one request.
            limits.concurrent = 16;
        }
        limits
    }
}

/// The `[limits]` table of a plugin manifest, and `limits` of an entry of the run manifest, which lies
/// over it; what is absent in both keeps the kind's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequestedLimits {
    /// 1 MiB to 2 GiB.
    #[serde(default, deserialize_with = "memory")]
    pub memory: Option<Size>,
    /// 10 ms to 10 min.
    #[serde(default, deserialize_with = "cpu")]
    pub cpu: Option<Duration>,
    /// 100 ms to 10 h 1 min: the longest program run is ten hours.
    #[serde(default, deserialize_with = "timeout")]
    pub timeout: Option<Duration>,
    /// 1 KiB to 64 MiB.
    #[serde(default, deserialize_with = "output")]
    pub output: Option<Size>,
    /// 1 to 64.
    #[serde(default, deserialize_with = "concurrent")]
    pub concurrent: Option<u32>,
    /// 1 KiB to 16 MiB.
    #[serde(default, deserialize_with = "log")]
    pub log: Option<Size>,
    /// 1 KiB to 64 MiB.
    #[serde(default, deserialize_with = "random")]
    pub random: Option<Size>,
    /// 16 to 4096.
    #[serde(default, deserialize_with = "handles")]
    pub handles: Option<u32>,
    /// 64 KiB to 256 MiB.
    #[serde(default, deserialize_with = "argument")]
    pub argument: Option<Size>,
    /// 1000 to 100,000,000.
    #[serde(default, deserialize_with = "host_calls")]
    pub host_calls: Option<u64>,
    /// 4 KiB to 1 MiB.
    #[serde(default, deserialize_with = "headers")]
    pub headers: Option<Size>,
    /// 4 KiB to 64 GiB written to files.
    #[serde(default, deserialize_with = "file_bytes")]
    pub file_bytes: Option<Size>,
    /// 1 to 1,000,000 files created.
    #[serde(default, deserialize_with = "files")]
    pub files: Option<u64>,
    /// 1 to 6000.
    #[serde(default, deserialize_with = "requests_per_minute")]
    pub requests_per_minute: Option<u32>,
    /// 1 to 64.
    #[serde(default, deserialize_with = "requests_at_once")]
    pub requests_at_once: Option<u32>,
}

impl RequestedLimits {
    /// Fills in the defaults of `kind`.
    pub fn for_kind(&self, kind: Kind) -> Limits {
        self.over(Limits::for_kind(kind))
    }

    /// What is set here, and otherwise `default`.
    pub fn over(&self, default: Limits) -> Limits {
        Limits {
            memory_bytes: self.memory.map_or(default.memory_bytes, |size| size.0),
            cpu: self.cpu.unwrap_or(default.cpu),
            timeout: self.timeout.unwrap_or(default.timeout),
            output_bytes: self.output.map_or(default.output_bytes, |size| size.0),
            concurrent: self.concurrent.unwrap_or(default.concurrent),
            log_bytes: self.log.map_or(default.log_bytes, |size| size.0),
            random_bytes: self.random.map_or(default.random_bytes, |size| size.0),
            handles: self.handles.unwrap_or(default.handles),
            argument_bytes: self.argument.map_or(default.argument_bytes, |size| size.0),
            host_calls: self.host_calls.unwrap_or(default.host_calls),
            header_bytes: self.headers.map_or(default.header_bytes, |size| size.0),
            file_bytes: self.file_bytes.map_or(default.file_bytes, |size| size.0),
            files: self.files.unwrap_or(default.files),
            requests_per_minute: self
                .requests_per_minute
                .unwrap_or(default.requests_per_minute),
            requests_at_once: self.requests_at_once.unwrap_or(default.requests_at_once),
            ..default
        }
    }

    /// What is set here, and otherwise what `base` sets.
    pub(crate) fn or(&self, base: &Self) -> Self {
        Self {
            memory: self.memory.or(base.memory),
            cpu: self.cpu.or(base.cpu),
            timeout: self.timeout.or(base.timeout),
            output: self.output.or(base.output),
            concurrent: self.concurrent.or(base.concurrent),
            log: self.log.or(base.log),
            random: self.random.or(base.random),
            handles: self.handles.or(base.handles),
            argument: self.argument.or(base.argument),
            host_calls: self.host_calls.or(base.host_calls),
            headers: self.headers.or(base.headers),
            file_bytes: self.file_bytes.or(base.file_bytes),
            files: self.files.or(base.files),
            requests_per_minute: self.requests_per_minute.or(base.requests_per_minute),
            requests_at_once: self.requests_at_once.or(base.requests_at_once),
        }
    }
}

fn memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Size>, D::Error> {
    within(deserializer, Size(MIB), Size(2048 * MIB)).map(Some)
}

fn cpu<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration_within(
        deserializer,
        Duration::from_millis(10),
        Duration::from_secs(600),
    )
}

fn timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration_within(
        deserializer,
        Duration::from_millis(100),
        Duration::from_secs(36_060),
    )
}

fn output<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Size>, D::Error> {
    within(deserializer, Size(1024), Size(64 * MIB)).map(Some)
}

fn concurrent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    within(deserializer, 1, 64).map(Some)
}

fn log<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Size>, D::Error> {
    within(deserializer, Size(1024), Size(16 * MIB)).map(Some)
}

fn random<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Size>, D::Error> {
    within(deserializer, Size(1024), Size(64 * MIB)).map(Some)
}

fn handles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    within(deserializer, 16, 4096).map(Some)
}

fn argument<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Size>, D::Error> {
    within(deserializer, Size(64 * 1024), Size(256 * MIB)).map(Some)
}

fn host_calls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within(deserializer, 1000, 100_000_000).map(Some)
}

fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Size>, D::Error> {
    within(deserializer, Size(4096), Size(MIB)).map(Some)
}

fn file_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Size>, D::Error> {
    within(deserializer, Size(4096), Size(64 * GIB)).map(Some)
}

fn files<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within(deserializer, 1, 1_000_000).map(Some)
}

fn requests_per_minute<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u32>, D::Error> {
    within(deserializer, 1, 6000).map(Some)
}

fn requests_at_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    within(deserializer, 1, 64).map(Some)
}

fn duration_within<'de, D: Deserializer<'de>>(
    deserializer: D,
    low: Duration,
    high: Duration,
) -> Result<Option<Duration>, D::Error> {
    let DurationText(value) = within(deserializer, DurationText(low), DurationText(high))?;
    Ok(Some(value))
}

/// Reads a value and checks its bounds at once, so that the error has the value's position.
pub(crate) fn within<'de, D, T>(deserializer: D, low: T, high: T) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + PartialOrd + fmt::Display,
{
    let value = T::deserialize(deserializer)?;
    if value < low || value > high {
        return Err(de::Error::custom(format!(
            "`{value}` is out of bounds; write a value from {low} to {high}"
        )));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_finite_limits_and_requests_replace_them() {
        assert_eq!(Limits::for_kind(Kind::Tool), Limits::default());
        assert_eq!(
            Limits::for_kind(Kind::Provider).timeout,
            Duration::from_secs(600)
        );
        let requested: RequestedLimits = toml::from_str(
            "memory = \"64MiB\"\ntimeout = \"10h1m\"\nconcurrent = 1\nrequests-per-minute = 30\n",
        )
        .unwrap();
        let limits = requested.for_kind(Kind::Provider);
        assert_eq!(limits.memory_bytes, 64 << 20);
        assert_eq!(limits.timeout, Duration::from_secs(36_060));
        assert_eq!(limits.concurrent, 1);
        assert_eq!(limits.cpu, Limits::default().cpu);
        assert_eq!(
            (limits.requests_per_minute, limits.requests_at_once),
            (30, Limits::default().requests_at_once)
        );
        for wrong in ["requests-per-minute = 0", "requests-at-once = 65"] {
            let error = toml::from_str::<RequestedLimits>(wrong).unwrap_err();
            assert!(
                error.to_string().contains("write a value from 1 to 6"),
                "{error}"
            );
        }
        assert_eq!(limits.files, 10_000);
    }

    #[test]
    fn what_a_plugin_writes_is_bounded_whatever_it_asks_for() {
        let parse = |text| toml::from_str::<RequestedLimits>(text);
        let limits = parse("file-bytes = \"8MiB\"\nfiles = 20").unwrap();
        let limits = limits.for_kind(Kind::Tool);
        assert_eq!((limits.file_bytes, limits.files), (8 << 20, 20));
        for refused in [
            "file-bytes = \"65GiB\"",
            "file-bytes = \"1B\"",
            "files = 0",
            "files = 1000001",
        ] {
            let error = parse(refused).unwrap_err().to_string();
            assert!(
                error.contains("is out of bounds; write a value from"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_user_s_limits_lie_over_the_author_s_and_stay_within_bounds() {
        let read = |text: &str| toml::from_str::<RequestedLimits>(text);
        let author = read("memory = \"64MiB\"\nhandles = 32\n").unwrap();
        let user = read("handles = 64\nhost-calls = 1000\nheaders = \"8KiB\"\n").unwrap();
        let limits = user.over(author.for_kind(Kind::Tool));
        assert_eq!((limits.memory_bytes, limits.handles), (64 << 20, 64));
        assert_eq!((limits.host_calls, limits.header_bytes), (1000, 8192));
        for text in [
            "handles = 15",
            "log = \"17MiB\"",
            "random = \"1GiB\"",
            "argument = \"1KiB\"",
            "host-calls = 0",
            "headers = \"2MiB\"",
            "cpu = \"0s\"",
            "fuel = 1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
