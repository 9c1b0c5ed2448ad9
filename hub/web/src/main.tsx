/** Start of the page. */
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";

import { render } from "preact";

import { App } from "./App.js";
import { followNavigation } from "./state/navigation.js";
import { followTheme } from "./state/theme.js";

followTheme();
followNavigation();
const place = document.getElementById("page");
if (place) render(<App />, place);
