"""What is only there in a component: the bindings, the port to the host, and the exports."""
