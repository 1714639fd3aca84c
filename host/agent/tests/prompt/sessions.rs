//! Sessions to render prompts of, and what each rule looks like in them.

use ml_intern_agent::ports::{Effects, Powers, Tool};
use ml_intern_agent::prompt::{Backend, Flavor, Place, Skill};
use std::time::Duration;

/// The tools that come with the program.
pub(crate) const BUILT_IN: &[&str] = &[
    "read",
    "write",
    "edit",
    "list",
    "search",
    "bash",
    "plan",
    "job_run",
    "job_status",
    "job_logs",
    "job_cancel",
    "job_list",
];

/// One of each kind that the prompt has rules about.
pub(crate) const EVERYTHING: &[&str] = &[
    "sandbox_create",
    "bash",
    "read",
    "write",
    "edit",
    "research",
    "explore_hf_docs",
    "fetch_hf_docs",
    "hf_papers",
    "web_search",
    "hf_inspect_dataset",
    "plan_tool",
    "notify",
    "hf_jobs",
    "hf_repo_files",
    "hf_repo_git",
    "github_find_examples",
    "github_list_repos",
    "github_read_file",
];

pub(crate) const TRACKIO: &[&str] = &["sandbox_create", "hf_jobs"];

/// Tools, and what is said only where they are.
pub(crate) const RULES_OF_TOOLS: &[(&[&str], &[&str])] = &[
    (&["research"], &["Give long reading to", "`research`"]),
    (&["hf_papers"], &["Papers, their sections", "`hf_papers`"]),
    (
        &["research", "hf_papers"],
        &["citation graph", "go back to the literature"],
    ),
    (
        &["explore_hf_docs", "fetch_hf_docs"],
        &["documentation as it is now", "`explore_hf_docs`"],
    ),
    (
        &[
            "github_find_examples",
            "github_list_repos",
            "github_read_file",
        ],
        &["Working code in public repositories"],
    ),
    (&["web_search"], &["The rest of the web"]),
    (
        &["hf_inspect_dataset"],
        &["data set on the Hub, in one call"],
    ),
    (&["plan_tool"], &["# Plan", "one item in progress"]),
    (&["notify"], &["asked to be notified"]),
    (
        &["sandbox_create"],
        &["# Sandbox", "GPU sandbox", "A file of the sandbox"],
    ),
    (
        &["hf_jobs"],
        &[
            "# Jobs",
            "# Hardware",
            "push_to_hub",
            "HF_TOKEN",
            "| flavor |",
            "Trackio: project",
        ],
    ),
    (TRACKIO, &["# Monitoring", "rackio"]),
];

/// What must be told where everything is there, a few words of each rule.
pub(crate) const RULES: &[&str] = &[
    // Role.
    "autonomous machine-learning engineer at home in the Hugging Face ecosystem",
    "Decide what it leaves open yourself",
    "Your tools (19)",
    // Knowledge.
    "Transformers, PEFT and the like is out of date",
    "landmark papers",
    "citation graph down to recent work",
    "sections 3, 4 and 5), not the abstract",
    "data set, method and hyperparameters, with the result that they gave",
    "papers to start from with arXiv ids",
    "Quick look-ups you make yourself",
    "only trivial work without code goes without",
    // Failure modes.
    "Imports from memory may not exist",
    "documentation of each config class",
    "default timeout of 30 minutes",
    "at least 2 h to any training",
    "1–3B 3–4 h, 7–13B 6–8 h, 30B and more 12–24 h",
    "both `push_to_hub=True` and `hub_model_id`",
    "disk is gone when it ends",
    "submit one job first",
    "Never replace a data set or a model in silence",
    "Never compile flash-attn",
    "`kernels-community/flash-attn2`",
    "`kernels-community/vllm-flash-attn3`",
    "`kernels-community/paged-attention`",
    "attn_implementation",
    "no LoRA for full fine-tuning, no smaller `max_length`, no monitoring switched off",
    "If nothing less helps, ask",
    // Before a script.
    "it exists; architecture; size; tokenizer",
    "`disable_tqdm=True`, `logging_strategy=\"steps\"`, `logging_first_step=True`",
    "SFT `messages`, or `text`, or `prompt` and `completion`",
    "DPO `prompt`, `chosen`, `rejected`; GRPO `prompt`",
    "schema, rows of each split, distributions, samples",
    "imbalance, missing values, odd formats, outliers and duplicates",
    // Trackio.
    "`report_to=\"trackio\"`, `run_name`, `project`",
    "trackio_space_id=\"ada/ml-intern-<8 characters>\"",
    "`TRACKIO_PROJECT` and `TRACKIO_SPACE_ID`",
    "`trackio.alert(title, text, level)`",
    "ERROR: stop and change something; WARN: tune; INFO: milestone",
    "`on_log` and `on_evaluate`: one metric and one threshold",
    "trackio list runs --project P --json",
    "`trackio get alerts`, `get run` or `get metric` with `--json`; `--since`",
    "learning rate × 0.1",
    "weight decay × 10",
    "learning rate × 0.5",
    "high accuracy, refine",
    "change only what one of them justifies",
    // Jobs.
    "no local path works in its script",
    "as source, as a file that the tool reads, or as a public URL",
    "the same imports, loading path and entry point, a few steps on a tiny subset, in a GPU sandbox (`t4-small` or larger)",
    "If you skip it, say why",
    "reference implementation",
    "smoke test: hardware and result",
    "timeout, and why it is enough",
    "While an item is missing, do not submit",
    "Trackio: project and Space",
    "`HF_TOKEN` is among a job's secrets already",
    // Hardware.
    "1–3B `a10g-largex2`, 7–13B `a100-large`, 30B and more `l40sx4` or `a100x4`, 70B and more `a100x8`",
    "`a10g-small` and `a10g-large` have the same GPU with 24 GB",
    "2 bytes a parameter in bf16 and 4 in fp32; add 20 %",
    "1–3B parameters 48 GB (cheapest here `l40sx1`)",
    // Sandbox.
    "private `cpu-basic` sandbox is there from the start",
    "only for a GPU or another tier",
    "do not survive a resume",
    "CUDA, bf16 or fp16, quantisation, flash attention, `torch.compile` and loading a model",
    // Plan, errors, end.
    "three steps or more",
    "marked done as soon as it is done, never when it failed",
    "Read the whole error",
    "never repeat a call unchanged",
    "smaller per-device batch with as much more gradient accumulation, then gradient checkpointing, then a larger GPU",
    "When a way fails again and again, take another",
    "method, data set, model and sequence length stay",
    "Done means that it was carried out",
    "a Trackio URL that works",
    // Nobody is watching.
    "call a tool in every reply",
    "Use the whole time limit",
    "research, implement, train, evaluate, save, improve",
    "by a sweep script, not by hand",
    "go back to the literature",
    "look at the clock",
    "last 10 minutes for the final evaluation and for saving",
    "exists, where it was asked for, and was evaluated",
    // Style.
    "Be short and concrete",
    "full URL on the Hub",
    "what happened, why, and what comes next",
    "no menus of options",
    "only when the user asked to be notified",
    "together in one reply",
    // The session.
    "The session began on 2026-01-31",
    "name on the Hub is `ada`",
    "Time limit: 6 h 30 min from the user's message",
    "Budget: $25.00",
];

pub(crate) fn tools(names: &[&str]) -> Vec<Tool> {
    names.iter().map(|name| tool(name)).collect()
}

fn tool(name: &str) -> Tool {
    Tool {
        name: name.into(),
        description: format!("Does what {name} does"),
        input_schema: "{\"type\":\"object\"}".into(),
        plugin: "a/plugin@1.0.0".into(),
        effects: Effects::default(),
        operations: None,
        powers: Powers {
            writes_files: name == "write" || name == "edit",
            sends_requests: false,
        },
        grants: Vec::new(),
    }
}

pub(crate) fn flavor(
    name: &str,
    description: &str,
    accelerators: u32,
    gib: u32,
    usd_per_hour: Option<f64>,
) -> Flavor {
    Flavor {
        name: name.into(),
        description: description.into(),
        accelerators,
        accelerator_memory_mib: gib * 1024,
        usd_per_hour,
    }
}

/// A session as the program starts it in a terminal.
pub(crate) fn local() -> Place<'static> {
    Place {
        workspace: "/home/ada/task",
        date: "2026-01-31",
        job_backend: Some(Backend {
            name: "local".into(),
            flavors: vec![flavor(
                "local",
                "this machine: 8 CPUs, 32 GB",
                0,
                0,
                Some(0.0),
            )],
        }),
        ..Place::default()
    }
}

/// A session that has all that the prompt speaks of.
pub(crate) fn everything_place() -> Place<'static> {
    Place {
        user: Some("ada"),
        headless: true,
        time_limit: Some(Duration::from_secs(23_400)),
        budget_micro_usd: Some(25_000_000),
        job_backend: Some(Backend {
            name: "huggingface".into(),
            flavors: hub_flavors(),
        }),
        skills: vec![
            Skill {
                name: "evaluate-model".into(),
                description:
                    "Evaluates a language model on standard tasks.\nUse when scores are wanted."
                        .into(),
                path: ".agents/skills/evaluate-model/SKILL.md".into(),
            },
            Skill {
                name: "model-card".into(),
                description: "Writes a model card.".into(),
                path: "/home/ada/.agents/skills/model-card/SKILL.md".into(),
            },
        ],
        instructions: "Models belong to the organisation `lovelace`.\n\n## Style\n\nMetric units.\n",
        ..local()
    }
}

fn hub_flavors() -> Vec<Flavor> {
    vec![
        flavor("cpu-basic", "2 vCPU, 16 GB", 0, 0, Some(0.01)),
        flavor("cpu-upgrade", "8 vCPU, 32 GB", 0, 0, Some(0.03)),
        flavor("t4-small", "4 vCPU, 15 GB, 1 x T4", 1, 16, Some(0.40)),
        flavor("a10g-small", "4 vCPU, 15 GB, 1 x A10G", 1, 24, Some(1.00)),
        flavor("a10g-large", "12 vCPU, 46 GB, 1 x A10G", 1, 24, Some(1.50)),
        flavor(
            "a10g-largex2",
            "24 vCPU, 92 GB, 2 x A10G",
            2,
            24,
            Some(3.00),
        ),
        flavor("l40sx1", "8 vCPU, 62 GB, 1 x L40S", 1, 48, Some(1.80)),
        flavor("l40sx4", "48 vCPU, 382 GB, 4 x L40S", 4, 48, Some(8.30)),
        flavor("a100-large", "12 vCPU, 142 GB, 1 x A100", 1, 80, Some(2.50)),
        flavor("a100x4", "48 vCPU, 568 GB, 4 x A100", 4, 80, Some(10.00)),
        flavor("a100x8", "96 vCPU, 1136 GB, 8 x A100", 8, 80, Some(20.00)),
        flavor("h200", "23 vCPU, 256 GB, 1 x H200", 1, 141, None),
    ]
}
