mod fake_openai_faults;
mod fake_openai_protocol;
mod fake_openai_refusals;
mod litellm;
mod runner;
mod tiny_llm;
mod vendors;
mod webhook_sink;
