/** What each tab of a version is given. */
import type { Version, VersionAddress } from "../../api/artifacts.js";

export interface VersionTabProps {
  /** By number, whatever the page's address says. */
  address: VersionAddress;
  version: Version;
  onChanged(version: Version): void;
  onReload(): void;
}
