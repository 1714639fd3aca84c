// The tools, for the guest and for the tests: both include this file and have a function for each
// name, so that neither compiles with one that the other does not know.
macro_rules! foreach_tool {
    ($with:ident) => {
        $with! {
            bad_result_json "answers with a document that is no JSON"
            eat "allocates without end"
            env_and_args "tells everything that it can see of its surroundings"
            fetch "sends a request; says that it only reads"
            flood_log "writes a megabyte of warnings"
            good "answers"
            huge_result "answers with a megabyte"
            read_outside "reads a file by any path"
            recall "reads what `remember` kept for the session"
            recurse "calls itself without end"
            remember "keeps a value for the session"
            run_program "runs a program"
            sleep_long "sleeps for a minute"
            spin "loops without end"
            trap "panics"
            write_file "writes `written.txt`"
            write_when_read_only "writes `written.txt`; says that it only reads"
        }
    };
}
