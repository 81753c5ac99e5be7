//! Files: what was fetched of messages, uploads, and giving both to whoever may have them.

use std::ops::Range;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use model::file::{File, FileLink, FileState};
use model::id::{AccountId, AppId, FileId};
use model::message::Media;
use model::page::{Page, PageRequest};
use model::send::OutgoingBody;
pub use store::files::FileFilter;
use store::files::FileOutcome;
pub use vault::Given;
use vault::{Vault, Writing};

use crate::{Action, Actor, Control, Error, Words, check};

/// How many uploads may be under way at once.
pub(crate) const UPLOADS_MAX: usize = 8;
/// How long whoever asks for a file that is being fetched waits for it.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it is looked whether it has come.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The longest media type, in bytes.
const TYPE_BYTES_MAX: usize = 255;

/// Files.
pub struct Files<'c>(&'c Control);

impl Control {
    /// Files.
    pub fn files(&self) -> Files<'_> {
        Files(self)
    }

    fn vault(&self) -> Result<&Vault, Error> {
        let none = || Words::new("this gateway keeps no files", "este gateway no guarda archivos");
        self.vault.as_ref().ok_or_else(|| Error::Unsupported(none()))
    }
}

/// A file to be uploaded.
#[derive(Clone, Debug, Default)]
pub struct NewFile {
    /// Whose it is; the only app's when absent.
    pub app: Option<AppId>,
    /// What it is called.
    pub name: Option<String>,
    /// Its media type.
    pub mime_type: Option<String>,
}

impl Files<'_> {
    /// Keeps a file that comes piece by piece; it is durable when this returns.
    pub async fn upload(
        &self,
        actor: &Actor,
        new: NewFile,
        body: impl Stream<Item = Result<Bytes, Error>>,
    ) -> Result<File, Error> {
        actor.must(Action::Send)?;
        let app = self.0.apps().owner(actor, new.app).await?;
        self.keep(actor, (app, None), new, body).await
    }

    /// The same for the account that the actor speaks for.
    pub async fn upload_for_number(
        &self,
        actor: &Actor,
        new: NewFile,
        body: impl Stream<Item = Result<Bytes, Error>>,
    ) -> Result<File, Error> {
        let account = self.0.numbers().own(actor)?;
        self.keep(actor, (account.app, Some(account.id)), new, body).await
    }

    async fn keep(
        &self,
        actor: &Actor,
        (app, account): (AppId, Option<AccountId>),
        new: NewFile,
        body: impl Stream<Item = Result<Bytes, Error>>,
    ) -> Result<File, Error> {
        let vault = self.0.vault()?;
        if let Some(name) = &new.name {
            check::name(name, "name")?;
        }
        let mime_type = line("content-type", new.mime_type)?;
        let _place = self.0.uploads.try_acquire().map_err(|_| Error::Busy)?;
        let media = Media { filename: new.name, mime_type: mime_type.clone(), ..Media::default() };
        let store = self.0.acting(actor, Some(app), "file.upload", &"");
        let id = store.files().begin(app, account, media).await?;
        let mut writing = vault.write(id).await.map_err(unkept)?;
        let written = written(&mut writing, body).await;
        let mime_type = mime_type.unwrap_or_else(|| "application/octet-stream".to_owned());
        let kept = match written {
            Ok(()) => writing.finish(mime_type).await.map_err(unkept),
            Err(error) => {
                writing.give_up().await;
                Err(error)
            }
        };
        match kept {
            Ok(content) => Ok(self.0.store.files().finish(id, FileOutcome::Stored(content)).await?),
            Err(error) => {
                self.0.store.files().finish(id, FileOutcome::Failed(error.to_string())).await?;
                Err(error)
            }
        }
    }

    /// One file.
    pub async fn get(&self, actor: &Actor, id: FileId) -> Result<File, Error> {
        actor.must(Action::Read)?;
        self.find(actor, id).await
    }

    /// Files, newest first.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: FileFilter,
        page: PageRequest,
    ) -> Result<Page<File>, Error> {
        actor.must(Action::Read)?;
        let filter = FileFilter { app: actor.narrowed(filter.app)?, ..filter };
        Ok(self.0.store.files().list(filter, page).await?)
    }

    /// Has a file that could not be had fetched once more.
    pub async fn retry(&self, actor: &Actor, id: FileId) -> Result<File, Error> {
        actor.must(Action::Operate)?;
        let file = self.find(actor, id).await?;
        let store = self.0.acting(actor, Some(file.app), "file.retry", &id);
        match store.files().retry(id).await {
            Err(store::Error::Conflict(_)) => Err(Error::conflict(
                "only a file that could not be fetched is fetched again",
                "solo se vuelve a traer un archivo que no se pudo traer",
            )),
            outcome => Ok(outcome?),
        }?;
        self.find(actor, id).await
    }

    /// Removes the bytes of a file; what is known of it stays.
    pub async fn remove(&self, actor: &Actor, id: FileId) -> Result<(), Error> {
        actor.must(Action::Operate)?;
        let file = self.find(actor, id).await?;
        self.forget(actor, &file).await
    }

    /// The bytes of a file, for whoever may read it.
    pub async fn open(
        &self,
        actor: &Actor,
        id: FileId,
        range: Option<Range<u64>>,
    ) -> Result<(File, Given), Error> {
        actor.must(Action::Read)?;
        let file = self.find(actor, id).await?;
        self.0.audit_view(actor, Some(file.app), "file.view", &id).await;
        self.give(file, range).await
    }

    /// The bytes of a file, for whoever has a link to it.
    pub async fn open_by_link(
        &self,
        id: FileId,
        (until, proof): (&str, &str),
        range: Option<Range<u64>>,
    ) -> Result<(File, Given), Error> {
        if !self.0.store.is_link(id, until, proof) {
            return Err(Error::NotFound("file"));
        }
        self.give(self.0.store.files().get(id).await?, range).await
    }

    /// One file of the account that the actor speaks for.
    pub async fn open_for_number(&self, actor: &Actor, id: FileId) -> Result<(File, Given), Error> {
        let file = self.of_number(actor, id).await?;
        self.give(file, None).await
    }

    /// Removes the bytes of a file of the account that the actor speaks for.
    pub async fn remove_for_number(&self, actor: &Actor, id: FileId) -> Result<(), Error> {
        let file = self.of_number(actor, id).await?;
        self.forget(actor, &file).await
    }

    /// A link to a file that works for a while; without a URL where files are not served.
    pub fn link(&self, id: FileId) -> FileLink {
        self.0.store.link(id, self.0.now().plus(store::links::LASTS))
    }

    /// Sees to it that the file which a message of an app names is there and can be linked to.
    pub(crate) async fn check_sent(&self, app: AppId, body: &OutgoingBody) -> Result<(), Error> {
        let Some((media, name)) = body.media().and_then(|media| Some((media, media.file.as_ref()?))) else {
            return Ok(());
        };
        let not_here = || {
            Error::invalid(
                "file",
                Words::new(
                    "no stored file of this app has this id",
                    "ningún archivo guardado de esta app tiene este id",
                ),
            )
        };
        let id: FileId = name.parse().map_err(|_| not_here())?;
        let file = match self.0.store.files().get(id).await {
            Err(store::Error::NotFound(_)) => return Err(not_here()),
            found => found?,
        };
        if file.app != app || file.state != FileState::Stored {
            return Err(not_here());
        }
        if media.link.is_some() || media.id.is_some() {
            let words = Words::new("name one of id, link and file", "indica solo uno: id, link o file");
            return Err(Error::invalid("file", words));
        }
        if self.0.public_url.is_none() {
            return Err(Error::Unsupported(Words::new(
                "platforms fetch files from us: set public_url first",
                "las plataformas nos piden los archivos: configura antes public_url",
            )));
        }
        Ok(())
    }

    async fn of_number(&self, actor: &Actor, id: FileId) -> Result<File, Error> {
        let account = self.0.numbers().own(actor)?;
        let file = self.0.store.files().get(id).await?;
        if file.account == Some(account.id) { Ok(file) } else { Err(Error::NotFound("file")) }
    }

    async fn forget(&self, actor: &Actor, file: &File) -> Result<(), Error> {
        self.0.vault()?.remove(file.id).await.map_err(unkept)?;
        let store = self.0.acting(actor, Some(file.app), "file.delete", &file.id);
        Ok(store.files().removed(vec![file.id]).await?)
    }

    async fn find(&self, actor: &Actor, id: FileId) -> Result<File, Error> {
        let file = self.0.store.files().get(id).await?;
        actor.must_see(file.app, "file")?;
        Ok(file)
    }

    async fn give(&self, file: File, range: Option<Range<u64>>) -> Result<(File, Given), Error> {
        let vault = self.0.vault()?;
        let file = self.come(file).await?;
        match (file.state, file.words.clone()) {
            (FileState::Stored, _) => {
                let bytes = file.content.as_ref().map_or(0, |content| content.bytes);
                // Where nothing of it lies in the range, the whole is given.
                let given = vault.give(file.id, range.filter(|range| range.start < bytes)).await;
                Ok((file, given.map_err(unkept)?))
            }
            (FileState::Waiting, _) => Err(Error::Busy),
            (FileState::Removed, _) => Err(Error::ContentRemoved),
            (FileState::Failed, words) => {
                let words = words.as_deref().unwrap_or_default();
                Err(Error::Conflict(Words::new(
                    format!("the file could not be had: {words}"),
                    format!("no se pudo obtener el archivo: {words}"),
                )))
            }
        }
    }

    /// A file once it has come, or the patience is over.
    async fn come(&self, mut file: File) -> Result<File, Error> {
        let until = tokio::time::Instant::now() + PATIENCE;
        while file.state == FileState::Waiting && tokio::time::Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
            file = self.0.store.files().get(file.id).await?;
        }
        Ok(file)
    }
}

async fn written(writing: &mut Writing, body: impl Stream<Item = Result<Bytes, Error>>) -> Result<(), Error> {
    let mut body = pin!(body);
    while let Some(piece) = body.next().await {
        writing.write(piece?).await.map_err(unkept)?;
    }
    Ok(())
}

fn line(field: &str, text: Option<String>) -> Result<Option<String>, Error> {
    let text = text.filter(|text| !text.is_empty());
    match text
        .as_deref()
        .is_some_and(|text| text.len() > TYPE_BYTES_MAX || text.chars().any(char::is_control))
    {
        false => Ok(text),
        true => Err(Error::invalid(
            field,
            Words::new(
                format!("one line of at most {TYPE_BYTES_MAX} bytes"),
                format!("una línea de {TYPE_BYTES_MAX} bytes como máximo"),
            ),
        )),
    }
}

fn unkept(error: vault::Error) -> Error {
    use vault::Error::{Config, Missing, TooLarge, Unavailable};
    match error {
        TooLarge(max) => Error::TooLarge(max),
        Missing => Error::ContentRemoved,
        Unavailable(words) | Config(words) => {
            tracing::warn!(words, "a file could not be kept or given");
            Error::Busy
        }
    }
}
