"""The command tree."""

from modelkeep.cli import (
    control,
    daemon,
    dev,
    doctor,
    duplicates,
    exports,
    hashing,
    imports,
    journal,
    models,
    orphans,
    page,
    pending,
    service,
    setup,
    status,
    tags,
)
from modelkeep.cli.help import examples
from modelkeep.cli.root import program

app = program()
app.command("run", epilog=daemon.EXAMPLES)(daemon.run)
app.command("init", epilog=setup.EXAMPLES)(setup.init)
app.command("import", cls=imports.ImportCommand, epilog=imports.EXAMPLES)(imports.import_)
app.command("export", epilog=exports.EXAMPLES)(exports.export)
app.command("status", epilog=status.EXAMPLES)(status.status)
app.command("page", epilog=page.EXAMPLES)(page.page)
app.command("journal", epilog=journal.EXAMPLES)(journal.journal)
app.add_typer(pending.app, name="pending")
app.add_typer(models.app, name="models")
app.add_typer(orphans.app, name="orphans")
app.add_typer(tags.app, name="tags")
app.command("tag", epilog=tags.TAG_EXAMPLES)(tags.tag)
app.command("duplicates", epilog=duplicates.EXAMPLES)(duplicates.duplicates)
app.command("hash", epilog=hashing.EXAMPLES)(hashing.hash_)
app.command("scan", epilog=examples("modelkeep scan"))(control.scan)
app.command("pause", epilog=examples("modelkeep pause"))(control.pause)
app.command("resume", epilog=examples("modelkeep resume"))(control.resume)
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
app.add_typer(service.app, name="service")
app.add_typer(dev.app, name="dev")
