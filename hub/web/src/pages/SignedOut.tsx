/** The hub does not know this browser. Only a link from the command line signs it in. */
import { useEffect } from "preact/hooks";

import { isSignedOut } from "../api/client.js";
import { listProjects } from "../api/hub.js";
import { CopyButton } from "../parts/CopyButton.js";
import { Logo } from "../parts/Logo.js";

export function SignedOut() {
  useEffect(() => {
    // Back from the terminal's link in another tab: this tab has its cookie too.
    const again = () => {
      if (document.visibilityState !== "visible") return;
      listProjects({ limit: 1 }).then(
        () => (isSignedOut.value = false),
        () => undefined,
      );
    };
    document.addEventListener("visibilitychange", again);
    return () => document.removeEventListener("visibilitychange", again);
  }, []);
  const port = location.port || (location.protocol === "https:" ? "443" : "80");
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  return (
    <main class="signed-out">
      <Logo />
      <h1>This browser is not signed in</h1>
      <p>The hub shows runs only to users who can read its key. Open the page from a terminal:</p>
      <p class="command">
        <code>stepwell open</code>
        <CopyButton text="stepwell open" what="the command" />
      </p>
      <p class="fact">Run it where the hub runs, as the user who started it, and open the link that it prints here.</p>
      {isLocal && (
        <p class="fact">
          {"Over ssh, forward the port first: "}
          <code>{`ssh -L ${port}:localhost:${port} HOST`}</code>
        </p>
      )}
    </main>
  );
}
