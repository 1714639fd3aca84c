use crate::support::{
    fake_openai::{Reply, Script},
    world::World,
};

use super::says;

async fn world() -> World {
    World::new(Script::steps([Reply::text("hi")])).await
}

#[tokio::test]
async fn a_manifest_with_a_mistake_stops_the_run_and_names_its_place() {
    let world = world().await;
    for (text, wanted) in [
        (
            "[agent]\nmodle = \"openai/x\"\n",
            &["ml-intern.toml:2", "unknown key `modle`", "`model`"][..],
        ),
        (
            "[agnet]\nmodel = \"openai/x\"\n",
            &["ml-intern.toml:1", "agnet", "`agent`"],
        ),
        (
            "[plugins.files]\nsource = \"builtin:files\"\n\n[plugins.files.grant]\nhttps = []\n",
            &["ml-intern.toml:5", "https", "`http`"],
        ),
        ("[agent\nmodel = 1\n", &["ml-intern.toml:1"]),
        (
            "[agent]\nmax-iterations = \"many\"\n",
            &["ml-intern.toml:2", "max-iterations"],
        ),
        (
            "[agent]\npermission-mode = \"yolo\"\n",
            &["ml-intern.toml:2", "yolo", "auto"],
        ),
        (
            "[budget]\ntime = \"2 parsecs\"\n",
            &["ml-intern.toml:2", "2 parsecs"],
        ),
        (
            "[plugins.x]\nsource = \"builtin:filse\"\n",
            &["builtin:filse", "`builtin:files`"],
        ),
    ] {
        world.home.write("ml-intern.toml", text);
        let done = world.run(["go"]).run().await;
        let code = if text.contains("filse") { 7 } else { 2 };
        done.assert_code(code);
        assert_eq!(done.stdout, "");
        says(&done, wanted);
    }
    world
        .home
        .write("ml-intern.toml", b"[agent]\nmodel = \"\xff\"\n");
    let done = world.run(["go"]).run().await;
    done.assert_code(2);
    says(&done, &["ml-intern.toml", "UTF-8"]);
    assert!(world.fake.exchanges().is_empty());
    std::fs::remove_file(world.home.workspace().join("ml-intern.toml")).unwrap();
    world.run(["go"]).run().await.assert_code(0);
}

#[tokio::test]
async fn a_manifest_or_folder_that_is_not_there_is_named() {
    let world = world().await;
    for (args, wanted) in [
        (["--manifest=nofile.toml", "go"], "nofile.toml"),
        (["--cd=nowhere", "go"], "cannot work in nowhere"),
        (["--cd=file.txt", "go"], "not a folder"),
    ] {
        world.home.write("file.txt", "");
        let done = world.run(args).run().await;
        done.assert_code(2);
        says(&done, &[wanted]);
    }
    assert!(world.fake.exchanges().is_empty());
}
