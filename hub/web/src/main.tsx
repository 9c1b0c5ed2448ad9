/** Start of the page. */
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/runs.css";
import "./styles/pages.css";

import { render } from "preact";

import { App } from "./App.js";
import { followKeys } from "./state/keys.js";
import { followNavigation } from "./state/navigation.js";
import { followTheme } from "./state/theme.js";

followTheme();
followNavigation();
followKeys();
const place = document.getElementById("page");
if (place) render(<App />, place);
