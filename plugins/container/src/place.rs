//! What the path of a log file says about the container.

use heka_plugin_api::MessageBuilder;

/// The names in a path; empty where it has none.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Place<'p> {
    /// Namespace of the pod.
    pub namespace: &'p [u8],
    /// Name of the pod.
    pub pod: &'p [u8],
    /// UID of the pod.
    pub pod_uid: &'p [u8],
    /// Name of the container.
    pub container: &'p [u8],
    /// Id of the container.
    pub container_id: &'p [u8],
}

impl<'p> Place<'p> {
    /// Reads the layouts of Kubernetes and Docker:
    ///
    /// ```text
    /// …/pods/NAMESPACE_POD_UID/CONTAINER/0.log
    /// …/containers/POD_NAMESPACE_CONTAINER-ID.log
    /// …/containers/ID/ID-json.log
    /// ```
    pub fn of(path: &'p [u8]) -> Place<'p> {
        let mut parts = path.rsplit(|&byte| byte == b'/');
        let file = parts.next().unwrap_or_default();
        let (parent, above) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let above_that = parts.next().unwrap_or_default();
        let found = match (above_that, above, parent) {
            (b"pods", pod, container) => Place::of_pod(pod, container),
            (_, b"containers", id) if file.starts_with(id) && is_id(id) => {
                Some(Place { container_id: id, ..Place::default() })
            }
            (_, _, b"containers") => Place::of_link(file),
            _ => None,
        };
        found.unwrap_or_default()
    }

    fn of_pod(pod: &'p [u8], container: &'p [u8]) -> Option<Place<'p>> {
        let mut names = pod.split(|&byte| byte == b'_');
        let (namespace, pod, pod_uid) = (names.next()?, names.next()?, names.next()?);
        Some(Place { namespace, pod, pod_uid, container, ..Place::default() })
    }

    fn of_link(file: &'p [u8]) -> Option<Place<'p>> {
        let mut names = file.strip_suffix(b".log")?.split(|&byte| byte == b'_');
        let (pod, namespace, container) = (names.next()?, names.next()?, names.next()?);
        let dash = container.iter().rposition(|&byte| byte == b'-')?;
        let (container, container_id) = (&container[..dash], &container[dash + 1..]);
        is_id(container_id).then_some(Place { namespace, pod, container, container_id, ..Place::default() })
    }

    /// Adds a field for each name.
    pub fn write(&self, message: &mut MessageBuilder<'_>) {
        let names = [
            ("namespace", self.namespace),
            ("pod", self.pod),
            ("pod_uid", self.pod_uid),
            ("container", self.container),
            ("container_id", self.container_id),
        ];
        for (name, value) in names.into_iter().filter(|(_, value)| !value.is_empty()) {
            message.field(name, value);
        }
    }
}

/// Tells whether this is the id of a container: 64 hexadecimal digits, or its first 12.
fn is_id(text: &[u8]) -> bool {
    matches!(text.len(), 12 | 64) && text.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: [&str; 5]) {
        let place = Place::of(path.as_bytes());
        let found = [place.namespace, place.pod, place.pod_uid, place.container, place.container_id];
        assert_eq!(found.map(|name| std::str::from_utf8(name).unwrap()), expected, "{path}");
    }

    #[test]
    fn paths_say_what_they_say() {
        let id = "0123456789abcdef".repeat(4);
        check(
            "/var/log/pods/shop_web-7d4b9_6f1c-22/nginx/0.log",
            ["shop", "web-7d4b9", "6f1c-22", "nginx", ""],
        );
        check(
            "/var/log/pods/shop_web-7d4b9_6f1c-22/nginx/0.log.20240102-100000",
            ["shop", "web-7d4b9", "6f1c-22", "nginx", ""],
        );
        check(
            &format!("/var/log/containers/web-7d4b9_shop_side-car-{id}.log"),
            ["shop", "web-7d4b9", "", "side-car", &id],
        );
        check(&format!("/var/lib/docker/containers/{id}/{id}-json.log"), ["", "", "", "", &id]);
        check("/var/log/containers/odd.log", [""; 5]);
        check("/var/log/pods/odd/c/0.log", [""; 5]);
        check("lines", [""; 5]);
        check("", [""; 5]);
    }
}
