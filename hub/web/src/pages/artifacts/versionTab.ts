/** What each tab of a version is given. */
import type { Version, VersionAddress } from "../../api/artifacts.js";

export interface VersionTabProps {
  /** By number, also if the page's address has an alias. */
  address: VersionAddress;
  version: Version;
  onChanged(version: Version): void;
  onReload(): void;
}
