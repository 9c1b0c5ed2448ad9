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
  return (
    <main class="signed-out">
      <Logo />
      <h1>This browser is not signed in</h1>
      <p>The hub shows runs only to who can read its key. Open the page from a terminal:</p>
      <p class="command">
        <code>stepwell open</code>
        <CopyButton text="stepwell open" what="the command" />
      </p>
      <p class="fact">On another machine, run the command where the hub runs, and open the link that it prints.</p>
    </main>
  );
}
