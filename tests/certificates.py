"""Certificates for tests of TLS, by openssl."""

import subprocess
from pathlib import Path


def make_authority(folder: Path, name: str = "ca") -> Path:
    """Make a certificate authority; return its certificate."""
    folder.mkdir(exist_ok=True)
    cert = folder / f"{name}.pem"
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", f"/CN={name}", "-days", "2", "-keyout", folder / f"{name}.key", "-out", cert),
    )
    return cert


def make_certificate(
    authority: Path, name: str, *, days: int = 2, names: str = "DNS:localhost,IP:127.0.0.1"
) -> tuple[Path, Path]:
    """Make a certificate for ``names``; return it and its key. ``days`` below 0: expired."""
    folder = authority.parent
    cert, key, request = (folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
    _openssl(
        *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", f"/CN={name}", "-keyout", key, "-out", request),
    )
    extension = folder / f"{name}.ext"
    extension.write_text(f"subjectAltName={names}\n")
    _openssl(
        *(
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            authority,
            "-CAkey",
            authority.with_suffix(".key"),
        ),
        *("-CAcreateserial", "-days", str(days), "-extfile", extension, "-out", cert),
    )
    key.chmod(0o600)
    return cert, key


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
